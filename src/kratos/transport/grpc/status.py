"""Errors on the wire of gRPC: a status with exactly one ``google.rpc.ErrorInfo``, and the exact code beside it.

gRPC has 17 codes and HTTP has more, so the trailer ``x-kratos-code`` says which HTTP status was meant. A reader
believes it only if it belongs to the status code; a peer that does not know the trailer sees a plain, complete status.
"""

from __future__ import annotations

from kratos.codec.messages import is_message, pack
from kratos.errors import Error
from kratos.wire.google.rpc.error_details_pb import ErrorInfo
from kratos.wire.google.rpc.status_pb import Status

__all__ = ["CODE_TRAILER", "DETAILS_TRAILER", "to_status"]

CODE_TRAILER = "x-kratos-code"
"""The trailer with the exact HTTP status."""
DETAILS_TRAILER = "grpc-status-details-bin"
"""The trailer with the serialised ``google.rpc.Status``, as gRPC defines it."""


def to_status(error: Error) -> Status:
    """Returns the status message of an error: ErrorInfo first (with an empty domain), then its further details."""
    info = ErrorInfo(reason=error.reason, metadata=error.metadata)
    details = [pack(info), *(pack(detail) for detail in error.details if is_message(detail))]
    return Status(code=error.grpc_code, message=error.message, details=details)
