"""The errors of a service as responses: one for each code, with the reasons that the contract gives it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from kratos.openapi.comments import of_error, split
from kratos.openapi.media import Envelope, Media
from kratos.openapi.wellknown import Schema
from kratos.operation import AnyOperation
from kratos.service import Service
from kratos.wire.errors.errors_pb import Status

__all__ = ["Failures"]

RESPONSES: Final = "#/components/responses/"

_CODEC, _TOO_LARGE, _MEDIA_TYPE, _UPGRADE, _TIMEOUT = 400, 413, 415, 426, 504
_RENAMED: Final[Mapping[int, str]] = MappingProxyType(
    {
        413: "Content Too Large",
        414: "URI Too Long",
        416: "Range Not Satisfiable",
        422: "Unprocessable Content",
    }
)
"""Phrases that Python 3.13 has changed, as RFC 9110 has them: a document must not depend on who writes it."""

_OWN: Final[Mapping[int, Mapping[str, str]]] = MappingProxyType(
    {
        _CODEC: {"CODEC": "The request cannot be read; `metadata.field` says where"},
        _TOO_LARGE: {"BODY_TOO_LARGE": "The body is larger than the server takes"},
        _MEDIA_TYPE: {"UNSUPPORTED_MEDIA_TYPE": "The server does not read this Content-Type"},
        _UPGRADE: {"UPGRADE_REQUIRED": "The request does not open a WebSocket"},
        _TIMEOUT: {"DEADLINE_EXCEEDED": "The call has taken too long; `metadata.limit` says whose limit it was"},
    }
)
"""Reasons of the framework itself, by code."""


@dataclass(frozen=True, slots=True)
class Failures:
    """The error responses of a document.

    Attributes:
        media: How errors become bodies.
        responses: What ``components/responses`` holds so far.
    """

    media: Media
    responses: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    def of(self, service: type[Service], operation: AnyOperation, *, reads_body: bool) -> dict[str, Any]:
        """Returns the error responses of an operation, by status.

        Args:
            service: The generated base, which knows the errors of its package.
            operation: The operation.
            reads_body: Whether requests have a body.
        """
        reasons: dict[int, dict[str, str]] = {}
        for cls in service.__errors__:
            reasons.setdefault(cls.code, {}).setdefault(cls.reason, split(of_error(cls))[0])
        own = {_CODEC, _TOO_LARGE, _MEDIA_TYPE} if reads_body else {_CODEC}
        if operation.client_streams:
            own.add(_UPGRADE)
        if not operation.streams:
            own.add(_TIMEOUT)
        envelope = self.media.wrapping(operation)
        found = {str(code): self._response(operation.service, code, reasons.get(code, {}), envelope)
                 for code in sorted(own | set(reasons))}  # fmt: skip
        return found | {"default": self._default(envelope)}

    def _default(self, envelope: Envelope | None) -> dict[str, Any]:
        name = f"Error{_suffix(envelope)}"
        if name not in self.responses:
            schema = self.media.schemas.message(Status)
            self.responses[name] = {"description": "Any other error.", "content": self.media.error(schema, envelope)}
        return {"$ref": RESPONSES + name}

    def _response(
        self, service: str, code: int, declared: Mapping[str, str], envelope: Envelope | None
    ) -> dict[str, Any]:
        # Where a service has nothing to add, all services share the response.
        name = f"{service if declared else 'Error'}.{code}{_suffix(envelope)}"
        if name not in self.responses:
            reasons = {**_OWN.get(code, {}), **declared}
            listed = [f"- `{reason}`" + (f": {text}." if text else "") for reason, text in reasons.items()]
            self.responses[name] = {
                "description": "\n".join((f"{_phrase(code)}.", "", *listed)),
                "content": self.media.error(self._schema(code, reasons), envelope, _examples(code, reasons)),
            }
        return {"$ref": RESPONSES + name}

    def _schema(self, code: int, reasons: Iterable[str]) -> Schema:
        # Handlers and proxies may have reasons that no contract knows: those of the contract are listed, not enforced.
        reason = {"anyOf": [{"type": "string", "enum": list(reasons)}, {"type": "string"}]}
        told = {"type": "object", "properties": {"code": {"const": code}, "reason": reason}}
        return {"allOf": [self.media.schemas.message(Status), told]}


def _suffix(envelope: Envelope | None) -> str:
    """Tells the errors of operations with an envelope from those without."""
    return "" if envelope is None else ".wrapped"


def _examples(code: int, reasons: Mapping[str, str]) -> dict[str, Any]:
    return {
        reason: {"value": {"code": code, "reason": reason, "message": text.replace("`", ""), "metadata": {}}}
        for reason, text in reasons.items()
    }


def _phrase(code: int) -> str:
    try:
        return _RENAMED.get(code) or HTTPStatus(code).phrase
    except ValueError:
        return f"Status {code}"
