"""Bodies that are one field of a message: ``body: "item"`` and ``response_body: "items"``.

A field that holds one message is written in whatever encoding was asked for. Any other field (a scalar, a list, a map)
has a form of its own in JSON only: there it is read and written as the value it would have inside of its message.
"""

from __future__ import annotations

import json
from typing import Any, Final

from kratos.codec.base import Codec, Negotiated
from kratos.codec.bulk import read
from kratos.codec.json import JsonCodec
from kratos.codec.jsontext import parse
from kratos.codec.messages import Field, Message, assign, blank, get, new, shape
from kratos.codec.raw import RawCodec, is_raw
from kratos.errors import ClientError
from kratos.wire.google.api.httpbody_pb import HttpBody

__all__ = ["ReplyBody", "RequestBody"]

_JSON: Final = Negotiated(JsonCodec(), JsonCodec.content_types[0])
_ZEROS = {"bool": False, "string": "", "bytes": ""}


class RequestBody:
    """How a body becomes a message.

    Args:
        request: The message type.
        name: The field that the body fills, by proto or JSON name; ``*`` for the whole message.
        where: What names it, for error messages.

    Attributes:
        raw: It is bytes of any kind, which only ``RawCodec`` reads.

    Raises:
        ValueError: The message has no such field.
    """

    def __init__(self, request: type[Message], name: str, where: str) -> None:
        self._request = request
        self._field = None if name == "*" else _find(request, name, f"{where}: body")
        self.raw = is_raw(request, self._field)

    def read(self, codec: Codec, data: bytes) -> Any:
        """Returns the message; an empty body is an empty one.

        Raises:
            BadRequest: The body cannot be read.
            ClientError: 415: this codec has no form for the field.
        """
        field = self._field
        if field is None:
            return read(codec, data, self._request)
        if not data and not self.raw:
            return new(self._request)
        if field.singular and field.message is not None:
            message = new(self._request)
            assign(message, field, read(codec, data, field.message))
            return message
        if codec.name != _JSON.codec.name:
            raise ClientError(
                f"{codec.content_types[0]} cannot carry the field {field.name} alone; {_JSON.content_type} can",
                code=415,
                reason="UNSUPPORTED_MEDIA_TYPE",
            )
        parse(data)  # One whole value: what follows must not become fields of its neighbours.
        key = json.dumps(field.json_name).encode("utf-8")
        return read(codec, b"{%s:%s}" % (key, data), self._request)


class ReplyBody:
    """How a reply becomes a body.

    Args:
        reply: The message type.
        name: The field that becomes the body, by proto or JSON name; empty or ``*`` for the whole message.
        where: What names it, for error messages.

    Attributes:
        raw: It is bytes of any kind, whatever was asked for.

    Raises:
        ValueError: The message has no such field.
    """

    def __init__(self, reply: type[Message], name: str, where: str) -> None:
        self._field = None if name in ("", "*") else _find(reply, name, f"{where}: response_body")
        self.raw = is_raw(reply, self._field)
        self._whole = self._field is None and not self.raw

    def write(self, negotiated: Negotiated, reply: Any, json: Negotiated = _JSON) -> tuple[str, bytes]:
        """Returns the content type and the body.

        Args:
            negotiated: What it is written in.
            reply: The message.
            json: What it is written in where nothing else can carry it.

        Raises:
            ValueError: A field holds what its type does not allow.
            TypeError: The reply is no message of the operation's type.
        """
        codec = negotiated.codec
        if self._whole:
            return negotiated.content_type, codec.encode(reply)
        field = self._field
        if self.raw or field is None:
            body = reply if field is None else get(reply, field) or HttpBody()
            return RawCodec.content_type(body), RawCodec().encode(body)
        if field.singular and field.message is not None:
            value = get(reply, field)
            return negotiated.content_type, codec.encode(blank(field.message)() if value is None else value)
        chosen = negotiated if codec.name == json.codec.name else json
        return chosen.content_type, _extract(chosen.codec, reply, field)


def _find(message: type[Message], name: str, what: str) -> Field:
    field = shape(message).named.get(name)
    if field is None:
        raise ValueError(f"{what} names {name!r}, which {shape(message).name} does not have")
    return field


def _extract(codec: Codec, reply: Any, field: Field) -> bytes:
    """Returns what stands behind the field's key in the JSON of the whole message."""
    written = json.loads(codec.encode(reply))
    value = written.get(field.json_name, written.get(field.name, _zero(field)))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _zero(field: Field) -> Any:
    """Returns the JSON of a field that was left out, as unset ones are."""
    if field.repeated:
        return []
    if field.key is not None:
        return {}
    return None if field.presence else _ZEROS.get(field.kind, 0)
