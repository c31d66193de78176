"""Requests to messages: path variables, query parameters and the body, bound to the fields the contract names.

Where two sources name the same field, the path wins over the query and the query over the body, as in Kratos. Winning
is replacing: a list in the query takes the place of one in the body and is not appended to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from kratos.codec.base import Codec
from kratos.codec.messages import Field, Message, assign, child, shape
from kratos.errors import BadRequest
from kratos.operation import AnyOperation, Http
from kratos.transport.http.body import ReplyBody, RequestBody
from kratos.transport.http.route import Template
from kratos.transport.http.scalar import parse

__all__ = ["Binding"]

_MAX_PARAMETERS = 1000
"""More query parameters than any honest request has."""


class Binding:
    """How the requests of one route become messages, and its replies bodies; compiled when the server is built.

    Args:
        operation: What the route calls. Where its requests are streamed, each of them is a body.
        http: The rule of the route.
        template: The rule's path, parsed.

    Attributes:
        reads_body: Whether the body is part of the message; without, it is ignored.
        reply: How replies become bodies.

    Raises:
        ValueError: A variable or body names a field that the message does not have, or that cannot be bound.
    """

    def __init__(self, operation: AnyOperation, http: Http, template: Template) -> None:
        self._request = operation.request
        where = f"{http.method} {http.path} of {operation.name}"
        body = http.body or ("*" if operation.client_streams else "")
        self._body = RequestBody(operation.request, body, where) if body else None
        self.reads_body = self._body is not None
        # A body that is the whole message leaves the query nothing to say; but a Go client of a stream says it there.
        self._reads_query = body != "*" or operation.client_streams
        self._variables = [_resolve(operation.request, variable.path, where) for variable in template.variables]
        self.reply = ReplyBody(operation.reply, http.response_body, where)

    def empty(self) -> Any:
        """Returns an empty request message."""
        return self._request()

    def build(self, codec: Codec | None, body: bytes, query: str, values: Sequence[str]) -> Any:
        """Returns the request message.

        Args:
            codec: What reads the body; None if there is none.
            body: The request body; ignored where the rule has none.
            query: The query, percent-encoded.
            values: The text of the path variables, in the template's order.

        Raises:
            BadRequest: Something cannot be read; the message names the parameter and the reason.
        """
        message = self._body.read(codec, body) if self._body is not None and codec is not None else self._request()
        if query and self._reads_query:
            _bind_query(message, query)
        for path, text in zip(self._variables, values, strict=True):
            _set(message, path, [text], "path variable")
        return message


def _resolve(root: type[Message], names: Sequence[str], where: str) -> tuple[Field, ...]:
    """Finds the fields of a dotted path, which must end in something that text can fill."""
    path = _find(root, names)
    if path is None or not path[-1].singular:
        raise ValueError(
            f"{where}: {'.'.join(names)!r} is no scalar or enum field of {shape(root).name}; "
            "a path variable must be one, and single"
        )
    return path


def _find(root: type[Message], names: Sequence[str]) -> tuple[Field, ...] | None:
    """Finds a scalar or enum field by proto or JSON names; None where there is none."""
    path: list[Field] = []
    current: type[Message] | None = root
    for name in names:
        field = shape(current).named.get(name) if current is not None else None
        if field is None or field.key is not None or (path and path[-1].repeated):
            return None
        path.append(field)
        current = field.message
    return None if path[-1].kind == "message" else tuple(path)


def _bind_query(message: Message, query: str) -> None:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
    except UnicodeDecodeError:
        raise BadRequest("the query is not UTF-8 after percent-decoding", reason="CODEC") from None
    except ValueError:
        raise BadRequest(f"the query has more than {_MAX_PARAMETERS} parameters", reason="CODEC") from None
    values: dict[str, list[str]] = {}
    for name, text in pairs:
        values.setdefault(name, []).append(text)
    for name, texts in values.items():
        path = _find(type(message), name.split("."))
        if path is not None:
            _set(message, path, texts, "query parameter")


def _set(message: Message, path: Sequence[Field], texts: list[str], source: str) -> None:
    field = path[-1]
    name = ".".join(part.name for part in path)
    try:
        parsed = [parse(field, text) for text in texts]
    except ValueError as reason:
        raise BadRequest(f"{source} {name}: {reason}", reason="CODEC", metadata={"field": name}) from None
    if len(parsed) > 1 and not field.repeated:
        raise BadRequest(
            f"{source} {name} stands there {len(parsed)} times, it takes one value",
            reason="CODEC",
            metadata={"field": name},
        )
    for part in path[:-1]:
        message = child(message, part)
    assign(message, field, parsed if field.repeated else parsed[0])
