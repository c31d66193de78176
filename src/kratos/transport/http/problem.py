"""Errors on the wire of HTTP: ``{"code", "reason", "message", "metadata"}`` in whatever encoding was asked for."""

from __future__ import annotations

from kratos.errors import Error
from kratos.wire.errors.errors_pb import Status

__all__ = ["to_status"]


def to_status(error: Error) -> Status:
    """Returns the message that carries an error; its code is the HTTP status line's."""
    return Status(code=error.status, reason=error.reason, message=error.message, metadata=error.metadata)
