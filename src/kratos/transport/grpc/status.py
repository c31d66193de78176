"""Errors on the wire of gRPC: a status with exactly one ``google.rpc.ErrorInfo``, and the exact code beside it.

An error that is a gRPC status and nothing more (``Error.plain``) has no ErrorInfo: it would say nothing, and whoever
implements somebody else's contract has to say exactly what that contract says.

gRPC has 17 codes and HTTP has more, so the trailer ``x-kratos-code`` says which HTTP status was meant. A reader
believes it only if it belongs to the status code; a peer that does not know the trailer sees a plain, complete status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import accumulate
from types import MappingProxyType
from typing import Any, Final

from kratos.codec.messages import Message, duration, full_name, is_message, pack
from kratos.errors import Error, KnownErrors, grpc_code, http_code, restore
from kratos.metadata import Metadata
from kratos.wire.google.rpc.error_details_pb import (
    BadRequest,
    DebugInfo,
    ErrorInfo,
    Help,
    LocalizedMessage,
    PreconditionFailure,
    QuotaFailure,
    RequestInfo,
    ResourceInfo,
    RetryInfo,
)
from kratos.wire.google.rpc.status_pb import Status

__all__ = ["CODE_TRAILER", "DETAILS_TRAILER", "PUSHBACK_TRAILER", "from_status", "status_text", "to_status"]

CODE_TRAILER = "x-kratos-code"
"""The trailer with the exact HTTP status."""
DETAILS_TRAILER = "grpc-status-details-bin"
"""The trailer with the serialised ``google.rpc.Status``, as gRPC defines it."""

PUSHBACK_TRAILER = "grpc-retry-pushback-ms"
"""The trailer with the milliseconds to wait before another try, less than zero for none (gRPC's proposal A6)."""
NEVER: Final = -1.0

_MILLISECONDS = re.compile(r"[0-9]{1,9}")

# A peer drops the whole call, code and all, over trailers larger than its limit: often 8 KiB, for all of them. The
# message is in there twice, percent-encoded (nine characters for one of Chinese) and, in the status, in base64. What
# does not fit is cut before that; the rest of the 8 KiB is for other trailers.
TRAILERS_BYTES: Final = 7 * 1024
MESSAGE_CHARACTERS: Final = 1024
MESSAGE_BYTES: Final = 3 * 1024  # percent-encoded
REASON_BYTES: Final = 1024

_ELLIPSIS: Final = "…"
_ENCODED: Final = re.compile(rb"[^\x20-\x7e]|%")

_DETAILS: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {
        full_name(type_): type_
        for type_ in (
            BadRequest, DebugInfo, ErrorInfo, Help, LocalizedMessage, PreconditionFailure, QuotaFailure, RequestInfo,
            ResourceInfo, RetryInfo,
        )
    }
)  # fmt: skip


def to_status(error: Error) -> Status:
    """Returns the status message of an error: ErrorInfo first (with an empty domain), then its further details.

    A plain one has no ErrorInfo. One that says when to try again has a RetryInfo. One that is too large for the
    trailers of a call loses its details first, then the metadata.
    """
    message = status_text(error)
    info = ErrorInfo(
        reason=_utf8(error.reason),
        metadata={_utf8(key): _utf8(value) for key, value in error.metadata.items()},
    )
    infos = [] if error.plain else [pack(info)]
    wait = error.retry_after
    if wait is not None and not any(isinstance(detail, RetryInfo) for detail in error.details):
        infos.append(pack(RetryInfo(retry_delay=duration(wait if wait >= 0 else NEVER))))
    further = [_packed(detail) for detail in error.details if is_message(detail)]
    status = Status(code=error.grpc_code, message=message, details=[*infos, *further])
    if not _fits(status):
        status = Status(code=error.grpc_code, message=message, details=infos)
    if not _fits(status):
        reason = _utf8(error.reason).encode()[:REASON_BYTES].decode(errors="ignore")
        status = Status(code=error.grpc_code, message=message, details=[pack(ErrorInfo(reason=reason))])
    return status


def status_text(error: Error) -> str:
    """Returns the message of an error as it may stand in a trailer."""
    text = _utf8(error.message)
    if len(text) <= MESSAGE_CHARACTERS and _percent_encoded(text) <= MESSAGE_BYTES:
        return text
    text = text[: MESSAGE_CHARACTERS - len(_ELLIPSIS)]
    room = MESSAGE_BYTES - _percent_encoded(_ELLIPSIS)
    lengths = accumulate(map(_percent_encoded, text))
    return text[: sum(length <= room for length in lengths)] + _ELLIPSIS


def _fits(status: Status) -> bool:
    """Tells whether a status may go out: its message and, in base64, the whole of it."""
    return _percent_encoded(status.message) + (len(status.to_binary()) + 2) // 3 * 4 <= TRAILERS_BYTES


def _percent_encoded(text: str) -> int:
    """Returns how many bytes a text takes as ``grpc-message``."""
    data = text.encode()
    return len(data) + 2 * len(_ENCODED.findall(data))


def from_status(code: int, message: str, trailers: Metadata, known: KnownErrors) -> Error:
    """Makes the error that a peer's status stands for.

    Args:
        code: The gRPC code number.
        message: The status message.
        trailers: The trailers it came with.
        known: Error classes by reason.
    """
    status = _details(code, trailers)
    wait = _pushback(trailers)
    if status is None:
        return restore(_exact(code, trailers), message=message, known=known, grpc=code, retry_after=wait)
    details = [_unpacked(detail) for detail in status.details]
    info = next((detail for detail in details if isinstance(detail, ErrorInfo)), None)
    return restore(
        _exact(code, trailers),
        "" if info is None else info.reason,
        status.message or message,
        {} if info is None else info.metadata,
        details=[detail for detail in details if detail is not info],
        known=known,
        grpc=code,
        retry_after=wait,
    )


def _pushback(trailers: Metadata) -> float | None:
    """Returns when the peer wants to see another try, by gRPC's own trailer: what is no number is never.

    We say it by RetryInfo instead: pygrpc-native 0.5 never ends a call that has this trailer.
    """
    text = trailers.get(PUSHBACK_TRAILER)
    if text is None:
        return None
    return int(text) / 1000 if _MILLISECONDS.fullmatch(text) else NEVER


def _exact(code: int, trailers: Metadata) -> int:
    """Returns the HTTP status that the peer meant."""
    text = trailers.get(CODE_TRAILER, "") or ""
    if len(text) == 3 and text.isascii() and text.isdecimal():
        exact = int(text)
        if 400 <= exact <= 599 and grpc_code(exact) == code:
            return exact
    return http_code(code)


def _details(code: int, trailers: Metadata) -> Status | None:
    """Returns the status in the trailers; None if there is none, it is unreadable, or of another code."""
    try:
        data = trailers.binary(DETAILS_TRAILER)
        status = None if data is None else Status.from_binary(data)
    except ValueError:
        return None
    return status if status is not None and status.code == code else None


def _packed(detail: Message) -> Any:
    return detail if full_name(type(detail)) == "google.protobuf.Any" else pack(detail)


def _unpacked(detail: Any) -> Any:
    """Returns a detail in its own type; one of a type that we do not know, or unreadable, stays as it is packed."""
    type_ = _DETAILS.get(detail.type_url.rpartition("/")[2])
    if type_ is None:
        return detail
    try:
        return type_.from_binary(detail.value)
    except ValueError:
        return detail


def _utf8(text: object) -> str:
    """Returns what should be text as a protobuf string may hold it: as text, without lone surrogates."""
    return str(text).encode("utf-8", "replace").decode("utf-8")
