"""Errors on the wire of HTTP: ``{"code", "reason", "message", "metadata"}`` in whatever encoding was asked for."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from kratos.codec.json import JsonCodec
from kratos.errors import Error, ServiceUnavailable
from kratos.wire.errors.errors_pb import Status

__all__ = ["PUSHBACK", "pushback", "read_pushback", "stopping", "to_json", "to_response", "to_status"]

PUSHBACK = "grpc-retry-pushback-ms"
"""The header that says by less than zero not to try again: gRPC's word, since HTTP has none."""

_JSON = JsonCodec()
_LONGEST = 1e8  # seconds: three years
_STATUSES = frozenset(HTTPStatus)


def to_status(error: Error) -> Status:
    """Returns the message that carries an error; its code is the HTTP status line's."""
    return Status(code=error.status, reason=error.reason, message=error.message, metadata=error.metadata)


def to_json(error: Error) -> bytes:
    """Returns an error as JSON, for where nothing else can be asked for."""
    return _JSON.encode(to_status(error))


def pushback(seconds: float) -> tuple[bytes, bytes]:
    """Returns the header that says when to try again; HTTP has whole seconds, and gRPC's word for never is read too."""
    if seconds < 0:
        return PUSHBACK.encode("ascii"), b"-1"
    return b"retry-after", b"%d" % math.ceil(min(seconds, _LONGEST))


def read_pushback(headers: Mapping[str, str]) -> float | None:
    """Returns when a peer wants to see another try, less than zero for never; None where it says nothing readable.

    Args:
        headers: Of its response, whatever the case of their names.
    """
    if headers.get(PUSHBACK, "").startswith("-"):
        return -1.0
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - time.time())


def to_response(error: Error, headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """Returns an error as a whole HTTP/1.1 response, the last one of its connection.

    Args:
        error: What to say.
        headers: Further headers.
    """
    body = to_json(error)
    phrase = HTTPStatus(error.status).phrase if error.status in _STATUSES else ""
    length = str(len(body)).encode("ascii")
    own = ((b"content-type", b"application/json"), (b"content-length", length), (b"connection", b"close"))
    lines = [f"HTTP/1.1 {error.status} {phrase}".encode("ascii")]
    lines += [name + b": " + value for name, value in (*headers, *own)]
    return b"\r\n".join((*lines, b"", body))


def stopping() -> Error:
    """Returns the error of a call that the server had no time left to finish."""
    return ServiceUnavailable("the server is stopping; ask again, another one will answer", reason="SERVER_STOPPING")
