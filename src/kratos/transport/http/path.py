"""Messages to requests: the method, path, query and body that an operation's primary HTTP rule gives a message.

The reverse of ``bind``. A rule is compiled when its operation is called for the first time.

Path variables are percent-encoded: one that fills a single segment wholly, one that spans segments except for ``/``.
The query holds the populated fields that are in neither the path nor the body, sorted by their JSON names:
``sub.title=a``, ``tags=a&tags=b``, ``facts[key]=v``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from kratos.codec.base import Codec
from kratos.codec.formwalk import UnwritableError
from kratos.codec.jsontext import parse
from kratos.codec.messages import Field, Message, assign, get, has, new, shape
from kratos.codec.raw import OCTET_STREAM, RawCodec, is_raw
from kratos.errors import BadRequest, InternalServer, Unimplemented
from kratos.operation import AnyOperation
from kratos.pathtemplate import Variable
from kratos.transport.http.plan import Bound, Plan

__all__ = ["Rule", "rule_of"]

_RULES = 8192  # as many as a program has operations; the bound is for programs that make operations as they run

# What a path says as it is, but for names that begin with a dot: two of them are steps.
_PLAIN = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*")
_LITERAL_SAFE: Final = ":@!$&'()*+,;=~"  # what RFC 3986 allows in a path beside letters, digits and - . _
_SHOWN = 80  # characters of a value in an error message

_Path = tuple[Field, ...]


class _Slot:
    """A variable of the template, to be filled.

    Args:
        bound: The variable and its field.
        where: The rule and operation, for error messages.
    """

    __slots__ = ("_bound", "_matches", "_single", "_where", "path")

    def __init__(self, bound: Bound, where: str) -> None:
        self._bound = bound
        self._where = where
        self._matches = re.compile(_pattern(bound.variable), re.DOTALL)
        self._single = bound.variable.segments == ("*",)
        self.path: _Path = (*bound.place.above, bound.place.field)

    def fill(self, message: Message) -> str:
        """Returns the part of the path that a message fills.

        Raises:
            BadRequest: The message has no value that fits.
        """
        value = self._text(message)
        if self._single and _PLAIN.fullmatch(value):  # as most are: 4 us less
            return value
        many, asked = self._bound.variable.many, self._bound.variable.text
        if not value and not self._matches.fullmatch(""):
            raise self._unfit(f"is empty, and {asked} needs a value")
        if not self._matches.fullmatch(value):
            raise self._unfit(f"is {value[:_SHOWN]!r}, which does not match {asked}")
        if any(segment in (".", "..") for segment in (value.split("/") if many else (value,))):
            # Whatever stands between us and the server would take it for a step in the path, escaped or not.
            raise self._unfit(f"is {value[:_SHOWN]!r}: . and .. cannot be sent as a segment of a path")
        return quote(value, safe="/" if many else "")

    def _text(self, message: Message) -> str:
        for field in self._bound.place.above:
            child: Message | None = get(message, field)
            if child is None:
                raise self._unset()
            message = child
        leaf = self._bound.place.field
        if leaf.presence and not has(message, leaf):
            raise self._unset()
        try:
            return self._bound.write(get(message, leaf))
        except ValueError as reason:
            raise self._unfit(f"cannot be written: {reason}") from None

    def _unset(self) -> BadRequest:
        return self._unfit(f"is not set, and {self._bound.variable.text} needs a value")

    def _unfit(self, what: str) -> BadRequest:
        name = self._bound.name
        return BadRequest(f"{self._where}: field {name} {what}", reason="PATH_VARIABLE", metadata={"field": name})


class Rule:
    """An operation's primary HTTP rule, compiled for calling it.

    Args:
        operation: What is called.

    Attributes:
        method: The verb to send.
        has_body: Whether requests have a body.
        has_variables: Whether the path depends on the message.
        needs_message: Whether path or query depend on the message.
        raw_body: Whether the body is bytes of any kind (``google.api.HttpBody``).
        raw_reply: Whether the reply is.

    Raises:
        Unimplemented: The contract gives the operation no HTTP rule.
        ValueError: The rule is broken: a bad template, an unknown field, a wildcard that no field fills.
    """

    def __init__(self, operation: AnyOperation) -> None:
        if not operation.http:
            raise Unimplemented(
                f"{operation.name} has no google.api.http rule, so it cannot be called over HTTP", reason="NO_HTTP_RULE"
            )
        http = operation.http[0]
        plan = Plan(operation, http)
        self._operation = operation
        self._where = plan.where
        self._form = plan.form
        self._body = plan.body
        self._response = plan.response
        self._parts = _parts(plan)
        self._verb = f":{quote(plan.template.verb, safe=_LITERAL_SAFE)}" if plan.template.verb else ""
        self._whole = plan.whole or (operation.client_streams and not self._framed)
        elsewhere = [bound.place.spot for bound in plan.variables]
        self._elsewhere = frozenset([*elsewhere, (self._body.number,)] if self._body else elsewhere)
        nothing_left = all((field.number,) in self._elsewhere for field in shape(operation.request).fields)
        self._no_query = self._whole or nothing_left
        # A field with presence that comes twice, in the path and in the body, is refused by Go Kratos.
        slots = [part for part in self._parts if isinstance(part, _Slot)]
        self._twice = [slot.path for slot in slots if slot.path[-1].presence]
        self.has_body = bool(http.body)
        self.method = http.method if http.method != "*" else ("POST" if http.body else "GET")
        self.has_variables = bool(slots)
        self._path = None if slots else self._join([part for part in self._parts if isinstance(part, str)])
        self.raw_body = (self.has_body or operation.client_streams) and is_raw(operation.request, self._body)
        self.raw_reply = is_raw(operation.reply, self._response)
        self.needs_message = self.has_variables or not self._whole

    @property
    def _framed(self) -> bool:
        """Whether a streamed request carries only the body field, as in Go Kratos: a single message may, no scalar."""
        return self._body is not None and self._body.message is not None and self._body.singular

    def target(self, message: Message) -> str:
        """Returns path and query, percent-encoded.

        Where requests are streamed, whatever travels in the messages stays out of the query: servers apply the query
        to every message.

        Raises:
            BadRequest: A field cannot be written there: ``PATH_VARIABLE`` or ``QUERY_PARAMETER``; it names the field.
        """
        path = self._path
        if path is None:
            path = self._join([part if isinstance(part, str) else part.fill(message) for part in self._parts])
        if self._no_query:
            return path
        try:
            pairs = self._form.write(message, self._elsewhere)
        except UnwritableError as failure:
            raise BadRequest(
                f"{self._where}: {failure}; give the rule a body",
                reason="QUERY_PARAMETER",
                metadata={"field": failure.field},
            ) from None
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
        return f"{path}?{query}" if query else path

    def _join(self, parts: Sequence[str]) -> str:
        return f"/{'/'.join(parts)}{self._verb}"

    def encode(self, message: Message, codec: Codec) -> bytes:
        """Returns the body, or one frame of a stream; a body field that is not set is empty.

        Raises:
            BadRequest: The body is a field that the codec cannot write: only JSON has lists and scalars by themselves.
        """
        for path in self._twice:
            message = _without(message, path)
        field = self._body
        if field is None or (self._operation.client_streams and not self._framed):
            return codec.encode(message)
        if field.presence and not has(message, field):
            return b""
        if field.message is not None and field.singular:
            return codec.encode(get(message, field))
        self._needs_json(codec, field)
        lone = new(type(message))
        assign(lone, field, get(message, field))
        members: dict[str, Any] = json.loads(codec.encode(lone))
        for name in (field.json_name, field.name):
            if name in members:
                return json.dumps(members[name], ensure_ascii=False, separators=(",", ":")).encode()
        return b""  # a zero that the codec was told not to write

    def content_type(self, message: Message) -> str:
        """Returns what the raw body of a message says of itself."""
        body = message if self._body is None else get(message, self._body)
        return OCTET_STREAM if body is None else RawCodec.content_type(body)

    def decode(self, data: bytes, codec: Codec) -> Any:
        """Returns the reply that a response body, an event or a frame holds.

        Raises:
            InternalServer: It holds none, which is no fault of the caller; reason ``CODEC``.
        """
        try:
            return self._decode(data, codec)
        except BadRequest as failure:
            raise InternalServer(
                f"the reply of {self._operation.name} cannot be read: {failure.message}",
                reason="CODEC",
                metadata=failure.metadata,
            ) from failure

    def _decode(self, data: bytes, codec: Codec) -> Any:
        field = self._response
        if field is None:
            return codec.decode(data, self._operation.reply)
        reply: Message = self._operation.reply()
        if not data and not self.raw_reply:
            return reply
        if field.message is not None and field.singular:
            assign(reply, field, codec.decode(data, field.message))
            return reply
        self._needs_json(codec, field)
        parse(data)  # one whole value: what follows must not become fields of its neighbours
        return codec.decode(b"{%s:%s}" % (json.dumps(field.json_name).encode(), data), self._operation.reply)

    def _needs_json(self, codec: Codec, field: Field) -> None:
        if codec.name != "json":
            raise BadRequest(
                f"{self._where}: {field.name} is no single message, so only the json codec can carry it as a body, "
                f"not {codec.name}",
                reason="CODEC",
            )


@lru_cache(_RULES)
def rule_of(operation: AnyOperation) -> Rule:
    """Returns the compiled rule of an operation; raises as ``Rule``."""
    return Rule(operation)


def _parts(plan: Plan) -> tuple[str | _Slot, ...]:
    """Returns what stands between the slashes of a path: literals, percent-encoded, and variables to be filled."""
    slots = {bound.variable: _Slot(bound, plan.where) for bound in plan.variables}
    parts: list[str | _Slot] = []
    for part in plan.template.parts:
        if part in ("*", "**"):
            raise ValueError(
                f"{plan.where}: a wildcard outside of {{}} is filled by no field, so the path cannot be written"
            )
        parts.append(slots[part] if isinstance(part, Variable) else quote(part, safe=_LITERAL_SAFE))
    return tuple(parts)


def _pattern(variable: Variable) -> str:
    """Returns what a value must look like before it is percent-encoded."""
    first, *rest = variable.segments
    if not rest:
        return {"*": ".+", "**": ".*"}.get(first, re.escape(first))  # a slash in the value of one segment is escaped
    return _segment(first)[1:] + "".join(_segment(segment) for segment in rest)


def _segment(segment: str) -> str:
    if segment == "**":
        return "(?:/.*)?"
    return "/[^/]+" if segment == "*" else f"/{re.escape(segment)}"


def _without(message: Message, path: Sequence[Field]) -> Message:
    """Returns a copy that lacks one field; whatever is not on the way to it is shared."""
    if not has(message, path[0]):
        return message
    copy = new(type(message))
    for field in shape(type(message)).fields:
        if field.number != path[0].number and has(message, field):
            assign(copy, field, get(message, field))
    if len(path) > 1:
        assign(copy, path[0], _without(get(message, path[0]), path[1:]))
    return copy
