"""How replies look: JSON, the envelope around it, and from which size on they are compressed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from kratos.codec.jsonvalues import JsonOptions
from kratos.codec.jsonwalk import is_object
from kratos.codec.messages import shape
from kratos.codec.raw import is_raw
from kratos.errors import Error, InternalServer
from kratos.operation import AnyOperation

__all__ = ["Envelope", "Format", "wrapping"]

_OPTION: Final = "kratos.options.v1.envelope"


@dataclass(frozen=True, slots=True)
class Envelope:
    """An object around every reply and every error in JSON: ``{"code": 0, "message": "", "data": {…}}``.

    The HTTP status stays true, and an error keeps ``reason`` and ``metadata`` beside its code, which is the status.
    Streams, WebSockets, raw bodies (``google.api.HttpBody``) and other encodings than JSON are never wrapped.

    Attributes:
        code: The member for the code.
        message: The member for the message.
        data: The member for the reply; null in an error.
        success: The code of a reply.
        text: The message of a reply.

    Raises:
        ValueError: Two members have one name.
    """

    code: str = "code"
    message: str = "message"
    data: str = "data"
    success: int = 0
    text: str = ""

    def __post_init__(self) -> None:
        if len({self.code, self.message, self.data, "reason", "metadata"}) < 5:
            raise ValueError(f"the members of an envelope need different names, also from reason and metadata: {self}")

    def wrap(self, data: bytes) -> bytes:
        """Returns a reply, which is JSON, in its envelope."""
        head = json.dumps({self.code: self.success, self.message: self.text, self.data: 0}, ensure_ascii=False)
        return b"%s%s}" % (head[:-2].encode(), data)

    def wrap_error(self, error: Error) -> bytes:
        """Returns an error in its envelope."""
        members: dict[str, Any] = {self.code: error.status, self.message: error.message, self.data: None}
        members |= {"reason": error.reason, "metadata": dict(error.metadata)}
        return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

    def unwrap(self, body: bytes) -> bytes:
        """Returns the reply that an envelope holds.

        Raises:
            InternalServer: The body is no envelope, which is no fault of the caller; reason ``CODEC``.
        """
        found = _members(body)
        if self.data not in found:
            raise InternalServer(f"the reply is no envelope: it has no member {self.data}", reason="CODEC")
        return b"" if found[self.data] is None else _dumps(found[self.data])

    def unwrap_error(self, body: bytes) -> bytes:
        """Returns an error as it is without an envelope; a body that is none as it is."""
        found = _members(body)
        if self.code not in found:
            return body
        plain = {"code": found.get(self.code, 0), "message": found.get(self.message, "")}
        return _dumps({**plain, **{key: found[key] for key in ("reason", "metadata") if key in found}})

    def reply(self, schema: dict[str, Any], /) -> dict[str, Any]:
        """Returns the JSON schema of a wrapped reply, for OpenAPI."""
        return self._schema({self.data: schema})

    def error(self, schema: dict[str, Any], /) -> dict[str, Any]:
        """Returns the JSON schema of a wrapped error, for OpenAPI; ``schema`` is that of an error without."""
        texts = {"reason": {"type": "string"}, "metadata": {"type": "object"}}
        kept = {name: schema.get("properties", {}).get(name, usual) for name, usual in texts.items()}
        return self._schema({self.data: {"type": "null"}, **kept})

    def _schema(self, more: dict[str, Any]) -> dict[str, Any]:
        properties = {self.code: {"type": "integer"}, self.message: {"type": "string"}, **more}
        return {"type": "object", "properties": properties, "required": list(properties)}


@dataclass(frozen=True, slots=True)
class Format:
    """How an HTTP server writes what it says.

    Attributes:
        json: How messages look in JSON: in replies, errors, envelopes, events and WebSocket frames.
        envelope: What is put around replies and errors; None for nothing.
        compress_over: Replies of more bytes are compressed for clients that accept it; None is never.
    """

    json: JsonOptions = field(default_factory=JsonOptions)
    envelope: Envelope | None = None
    compress_over: int | None = 1024


@lru_cache(8192)
def wrapping(envelope: Envelope | None, operation: AnyOperation) -> Envelope | None:
    """Returns what is put around the replies of an operation, by the server's envelope and the operation's option."""
    wish = operation.options.get(_OPTION)
    if operation.streams or wish == "ENVELOPE_RAW":
        return None
    bodies = [http.response_body for http in operation.http]
    named = shape(operation.reply).named
    if any(is_raw(operation.reply, None if body in ("", "*") else named.get(body)) for body in bodies):
        return None
    return Envelope() if envelope is None and wish == "ENVELOPE_WRAPPED" else envelope


def _members(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if is_object(found) else {}


def _dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
