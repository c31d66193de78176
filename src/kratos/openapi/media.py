"""Bodies: which media types they come in, and how streams of them look."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from kratos.codec.base import Codec, CodecSet
from kratos.codec.messages import Field, Message, full_name, shape
from kratos.openapi.form import form
from kratos.openapi.schema import Schemas
from kratos.openapi.wellknown import Schema
from kratos.operation import AnyOperation, Http
from kratos.wire.errors.errors_pb import Status

__all__ = ["Envelope", "Media", "Wrapping"]

_BINARY: Final = {"type": "string", "format": "binary"}
_HTTP_BODY: Final = "google.api.HttpBody"
_WRAPPED: Final = "json"
"""The codec whose texts an envelope surrounds; in all others there is none."""
_FORM: Final = "multipart"
"""The codec that reads forms with files."""
_READABLE: Final = frozenset({"json", "yaml"})
"""Codecs whose texts are what the schemas describe; of any other the schema only says that there are bytes."""


class Envelope(Protocol):
    """What a server puts around its replies and errors in JSON.

    Implementations are immutable and do no I/O, so there is nothing to cancel or to lock.
    """

    def reply(self, schema: Schema, /) -> Schema:
        """Returns the schema of a wrapped reply. Raises nothing."""
        ...

    def error(self, schema: Schema, /) -> Schema:
        """Returns the schema of a wrapped error. Raises nothing."""
        ...


Wrapping: TypeAlias = Callable[[AnyOperation], Envelope | None]
"""Returns what is put around the replies and errors of an operation, None for nothing."""


@dataclass(frozen=True, slots=True)
class Media:
    """How messages become bodies on a server.

    Attributes:
        schemas: The schemas of the document.
        codecs: What the server speaks.
        wrapping: How it wraps what it says.
    """

    schemas: Schemas
    codecs: CodecSet
    wrapping: Wrapping

    def request(self, operation: AnyOperation, http: Http, bound: Iterable[str]) -> dict[str, Any]:
        """Returns the body of a request.

        Args:
            operation: What is asked for.
            http: The binding.
            bound: Dotted paths of fields that the path fills.
        """
        type_ = operation.request
        field = None if http.body == "*" else shape(type_).named[http.body]
        if _is_raw(type_, field):
            return {"required": True, "content": {"*/*": {"schema": dict(_BINARY)}}}
        if field is not None and _alone(field):
            return {"content": self._content(self.schemas.value(field), field)}
        target, prefix = (type_, "") if field is None or field.message is None else (field.message, f"{field.name}.")
        direct = {name.removeprefix(prefix) for name in bound if name.startswith(prefix)}
        without = direct & {each.name for each in shape(target).fields}
        partial = http.method == "PATCH"
        content = self._content(self.schemas.message(target, without=without, partial=partial), field)
        for codec in self.codecs:
            if codec.name == _FORM and shape(target).well_known is None:
                content[codec.content_types[0]] = form(self.schemas, target, without=without, partial=partial)
        # An empty body is an empty message, so there is nothing to demand unless the contract does.
        demanded = not partial and bool(self.schemas.requires(target, without))
        return {**({"required": True} if demanded else {}), "content": content}

    def reply(self, operation: AnyOperation, response_body: str) -> dict[str, Any]:
        """Returns the ``content`` of a single reply.

        Args:
            operation: What was asked for.
            response_body: The field that becomes the body, empty for the whole message.
        """
        field = shape(operation.reply).named[response_body] if response_body else None
        if _is_raw(operation.reply, field):
            return {"*/*": {"schema": dict(_BINARY)}}
        schema = self._part(operation.reply, field)
        envelope = self.wrapping(operation)
        return self._content(schema, field, None if envelope is None else envelope.reply(schema))

    def error(
        self, schema: Schema, envelope: Envelope | None, examples: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Returns the ``content`` of an error.

        Args:
            schema: What it looks like.
            envelope: What is put around it.
            examples: By name; left out where it is wrapped, since they are not.
        """
        wrapped = None if envelope is None else envelope.error(schema)
        content = self._content(schema, None, wrapped)
        for codec in self.codecs if examples else ():
            if codec.name in _READABLE and (wrapped is None or codec.name != _WRAPPED):
                content[codec.content_types[0]]["examples"] = dict(examples or {})
        return content

    def events(self, operation: AnyOperation, response_body: str) -> dict[str, Any]:
        """Returns the ``content`` of a streamed reply: server-sent events, or JSON lines for who asks for them."""
        field = shape(operation.reply).named[response_body] if response_body else None
        if _is_raw(operation.reply, field):
            return {"*/*": {"schema": dict(_BINARY)}}
        item = self._part(operation.reply, field)
        error = self.schemas.message(Status)
        events = [
            _object({"event": {"const": "message"}, "data": _json(item)}),
            _object({"event": {"const": "error"}, "data": _json(error)}),
        ]
        # OpenAPI has no keyword for the items of a stream before 3.2; tools take the schema for that of one item.
        return {
            "text/event-stream": {"schema": {"oneOf": events}},
            "application/x-ndjson": {"schema": {"anyOf": [item, _object({"error": error})]}},
        }

    def frames(self, operation: AnyOperation, body: str, response_body: str) -> dict[str, Any]:
        """Returns what goes over a WebSocket, in both directions."""
        sent = shape(operation.request).named[body] if body not in ("", "*") else None
        received = shape(operation.reply).named[response_body] if response_body else None
        return {
            "send": self._part(operation.request, sent),
            "receive": self._part(operation.reply, received),
            "replies": "many" if operation.server_streams else "one",
        }

    def _part(self, type_: type[Message], field: Field | None) -> Schema:
        return self.schemas.message(type_) if field is None else self.schemas.value(field)

    def _content(self, schema: Schema, field: Field | None, wrapped: Schema | None = None) -> dict[str, Any]:
        """Returns a body in every media type that can carry it: a field that is no message has a form in JSON only."""
        alone = field is not None and _alone(field)
        json = schema if wrapped is None else wrapped
        return {
            codec.content_types[0]: {"schema": _form(codec, json if codec.name == _WRAPPED else schema)}
            for codec in self.codecs.writers
            if not alone or codec.name == "json"
        }


def _form(codec: Codec, schema: Schema) -> Schema:
    return dict(schema) if codec.name in _READABLE else dict(_BINARY)


def _is_raw(type_: type[Message], field: Field | None) -> bool:
    """Tells whether a body is bytes of any kind."""
    target = type_ if field is None else field.message
    return target is not None and full_name(target) == _HTTP_BODY and (field is None or field.singular)


def _alone(field: Field) -> bool:
    """Tells whether a field is a body that no message surrounds."""
    return field.message is None or not field.singular


def _object(properties: dict[str, Any]) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _json(schema: Schema) -> Schema:
    return {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
