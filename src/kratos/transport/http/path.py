"""Messages to requests: the method, path, query and body that an operation's primary HTTP rule gives a message.

The reverse of ``bind``. A rule is compiled when its operation is called for the first time.

Path variables are percent-encoded: one that fills a single segment wholly, one that spans segments except for ``/``.
The query holds the populated fields that are in neither the path nor the body, by their JSON names: ``sub.title=a``,
``tags=a&tags=b``, ``facts[key]=v``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from kratos.codec.base import Codec
from kratos.codec.jsontext import parse
from kratos.codec.messages import Field, Message, assign, get, has, new, shape
from kratos.errors import BadRequest, InternalServer, Unimplemented
from kratos.operation import AnyOperation, Http
from kratos.transport.http.route import Template
from kratos.transport.http.text import has_text, text

__all__ = ["Rule", "rule_of"]

_RULES = 8192  # as many as a program has operations; the bound is for programs that make operations as they run

_PLACE: Final = re.compile(r"\{([A-Za-z_][\w.]*)(?:=([^{}]*))?\}")
_BARE_WILDCARD: Final = re.compile(r"(?:^|/)\*\*?(?=$|[/:])")
_LITERAL_SAFE: Final = "/:@!$&'()*+,;=~"  # what RFC 3986 allows in a path beside letters, digits and - . _
_SHOWN = 80  # characters of a value in an error message

_Path = tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """A variable of the template.

    Attributes:
        name: The dotted field path, as in the template.
        path: The fields it names.
        many: Whether it spans segments, so that ``/`` stays as it is.
        matches: What its value must look like, before it is percent-encoded.
        asked: The variable as in the template.
        where: The rule and operation, for error messages.
    """

    name: str
    path: _Path
    many: bool
    matches: re.Pattern[str]
    asked: str
    where: str

    def fill(self, message: Message) -> str:
        """Returns the part of the path that a message fills.

        Raises:
            BadRequest: The message has no value that fits.
        """
        value = self._text(message)
        if not value and not self.matches.fullmatch(""):
            raise self._unfit(f"is empty, and {self.asked} needs a value")
        if not self.matches.fullmatch(value):
            raise self._unfit(f"is {value[:_SHOWN]!r}, which does not match {self.asked}")
        if any(segment in (".", "..") for segment in (value.split("/") if self.many else (value,))):
            # Whatever stands between us and the server would take it for a step in the path, escaped or not.
            raise self._unfit(f"is {value[:_SHOWN]!r}: . and .. cannot be sent as a segment of a path")
        return quote(value, safe="/" if self.many else "")

    def _text(self, message: Message) -> str:
        *parents, leaf = self.path
        for field in parents:
            child: Message | None = get(message, field)
            if child is None:
                raise self._unfit(f"is not set, and {self.asked} needs a value")
            message = child
        if leaf.presence and not has(message, leaf):
            raise self._unfit(f"is not set, and {self.asked} needs a value")
        return text(leaf, get(message, leaf))

    def _unfit(self, what: str) -> BadRequest:
        return BadRequest(
            f"{self.where}: field {self.name} {what}", reason="PATH_VARIABLE", metadata={"field": self.name}
        )


class Rule:
    """An operation's primary HTTP rule, compiled for calling it.

    Args:
        operation: What is called.

    Attributes:
        method: The verb to send.
        has_body: Whether requests have a body.
        has_variables: Whether the path depends on the message.
        needs_message: Whether path or query depend on the message.

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
        self._operation = operation
        self._where = f"{http.method} {http.path} of {operation.name}"
        self._head, self._places = _places(operation.request, http, self._where)
        self._body = _named(operation.request, http.body, self._where) if http.body not in ("", "*") else None
        self._response = _named(operation.reply, http.response_body, self._where) if http.response_body else None
        self._whole = http.body == "*" or (operation.client_streams and not self._framed)
        bound = [place.path for place, _ in self._places]
        self._elsewhere = frozenset(_dotted(path) for path in (*bound, *([(self._body,)] if self._body else [])))
        # A field with presence that comes twice, in the path and in the body, is refused by Go Kratos.
        self._twice = [path for path in bound if path[-1].presence]
        self.has_body = bool(http.body)
        self.method = http.method if http.method != "*" else ("POST" if http.body else "GET")
        self.has_variables = bool(self._places)
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
        path = self._head + "".join(place.fill(message) + literal for place, literal in self._places)
        if self._whole:
            return path
        query = "&".join(
            f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in self._parameters(message, (), "")
        )
        return f"{path}?{query}" if query else path

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
        if not data:
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

    def _parameters(self, message: Message, above: _Path, prefix: str) -> Iterator[tuple[str, str]]:
        for field in shape(type(message)).fields:
            path = (*above, field)
            if _dotted(path) in self._elsewhere or not has(message, field):
                continue
            name = f"{prefix}{field.json_name}"
            value = get(message, field)
            if has_text(field):
                yield from _texts(field, name, value)
            elif field.singular and field.message is not None and shape(field.message).well_known is None:
                yield from self._parameters(value, path, f"{name}.")
            else:
                raise BadRequest(
                    f"{self._where}: field {_dotted(path)} holds {'a message' if field.singular else 'messages'} that "
                    "cannot be written in a query; give the rule a body",
                    reason="QUERY_PARAMETER",
                    metadata={"field": _dotted(path)},
                )


@lru_cache(_RULES)
def rule_of(operation: AnyOperation) -> Rule:
    """Returns the compiled rule of an operation; raises as ``Rule``."""
    return Rule(operation)


def _places(request: type[Message], http: Http, where: str) -> tuple[str, list[tuple[_Place, str]]]:
    """Takes a template apart: what stands before the first variable; each variable with the literal behind it."""
    Template(http.path)  # refuses what breaks the grammar
    head, *rest = _PLACE.split(http.path)
    places = [
        (_place(request, name, sub, where), _literal(literal, where))
        for name, sub, literal in zip(rest[0::3], rest[1::3], rest[2::3], strict=True)
    ]
    return _literal(head, where), places


def _place(request: type[Message], name: str, sub: str | None, where: str) -> _Place:
    segments = ["*"] if sub is None else sub.split("/")
    many = len(segments) > 1 or segments[0] == "**"
    pattern = "".join(_pattern(segment) for segment in segments)[1:] if many else _single(segments[0])
    return _Place(
        name=name,
        path=_resolve(request, name.split("."), where),
        many=many,
        matches=re.compile(".*" if segments == ["**"] else pattern, re.DOTALL),
        asked=f"{{{name}}}" if sub is None else f"{{{name}={sub}}}",
        where=where,
    )


def _single(segment: str) -> str:
    return ".+" if segment == "*" else re.escape(segment)  # a slash in the value is escaped


def _pattern(segment: str) -> str:
    if segment == "**":
        return "(?:/.*)?"
    return "/[^/]+" if segment == "*" else f"/{re.escape(segment)}"


def _literal(piece: str, where: str) -> str:
    if _BARE_WILDCARD.search(piece):
        raise ValueError(f"{where}: a wildcard outside of {{}} is filled by no field, so the path cannot be written")
    return quote(piece, safe=_LITERAL_SAFE)


def _resolve(root: type[Message], names: Sequence[str], where: str) -> _Path:
    path: list[Field] = []
    current: type[Message] | None = root
    for name in names:
        field = shape(current).named.get(name) if current is not None else None
        if field is None or not field.singular:
            path = []
            break
        path.append(field)
        current = field.message
    if not path or not has_text(path[-1]):
        raise ValueError(
            f"{where}: {'.'.join(names)!r} is no field of {shape(root).name} that a path variable can be; "
            "it must be a single scalar or enum"
        )
    return tuple(path)


def _named(type_: type[Message], name: str, where: str) -> Field:
    field = shape(type_).named.get(name)
    if field is None:
        raise ValueError(f"{where}: {shape(type_).name} has no field {name!r} to be the body")
    return field


def _dotted(path: _Path) -> str:
    return ".".join(field.name for field in path)


def _texts(field: Field, name: str, value: Any) -> Iterator[tuple[str, str]]:
    if field.repeated:
        yield from ((name, text(field, element)) for element in value)
    elif field.key is not None:
        yield from ((f"{name}[{_key(key)}]", text(field, element)) for key, element in value.items())
    else:
        yield name, text(field, value)


def _key(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


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
