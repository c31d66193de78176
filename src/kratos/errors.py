"""Errors that keep their code, reason, message and metadata across HTTP and gRPC.

Every class has the HTTP status as its ``code``; the gRPC code follows from the table below::

    Error(Exception)
    ├── ClientError               4xx, unmapped ones travel as INVALID_ARGUMENT
    │   ├── BadRequest            400  INVALID_ARGUMENT
    │   ├── Unauthorized          401  UNAUTHENTICATED
    │   ├── Forbidden             403  PERMISSION_DENIED
    │   ├── NotFound              404  NOT_FOUND
    │   ├── Conflict              409  ABORTED
    │   ├── PreconditionFailed    412  FAILED_PRECONDITION
    │   ├── TooManyRequests       429  RESOURCE_EXHAUSTED
    │   └── ClientClosed          499  CANCELLED
    └── ServerError               5xx, unmapped ones travel as INTERNAL
        ├── InternalServer        500  INTERNAL
        ├── Unimplemented         501  UNIMPLEMENTED
        ├── ServiceUnavailable    503  UNAVAILABLE
        └── GatewayTimeout        504  DEADLINE_EXCEEDED

Enums with codes in a ``.proto`` file become subclasses of these (``class UserNotFound(NotFound)``), so the same
``except UserNotFound`` catches the error whether it was raised here or three services away.

The two code tables are Kratos' (``transport/http/status``), except that a code without a row keeps its family instead
of becoming UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

__all__ = [
    "BadRequest",
    "ClientClosed",
    "ClientError",
    "Conflict",
    "Error",
    "Forbidden",
    "GatewayTimeout",
    "InternalServer",
    "KnownErrors",
    "NotFound",
    "PreconditionFailed",
    "ServerError",
    "ServiceUnavailable",
    "TooManyRequests",
    "Unauthorized",
    "Unimplemented",
    "Violation",
    "by_reason",
    "error_class",
    "grpc_code",
    "http_code",
    "restore",
]

# gRPC code names by number, from the gRPC status code document.
GRPC_NAMES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)

HTTP_TO_GRPC: Mapping[int, int] = MappingProxyType(
    {200: 0, 400: 3, 401: 16, 403: 7, 404: 5, 409: 10, 412: 9, 429: 8, 499: 1, 500: 13, 501: 12, 503: 14, 504: 4}
)
GRPC_TO_HTTP: tuple[int, ...] = (
    200, 499, 500, 400, 504, 404, 409, 403, 429, 412, 409, 400, 501, 500, 503, 500, 401,
)  # fmt: skip


class Violation(NamedTuple):
    """One thing that is wrong with a request.

    Attributes:
        field: Where, as a path: ``order.lines[2].sku``. Empty for the message as a whole.
        message: What is wrong, for a person to read.
        rule: Which rule is broken, for a program to match: ``string.min_len``.
    """

    field: str
    message: str
    rule: str = ""


class Error(Exception):
    """A failure that a client may see: everything in it crosses the wire.

    Args:
        message: What happened, for a person to read.
        code: HTTP status, 400 to 599; the class's own if not given.
        reason: What happened, for a program to match: ``USER_NOT_FOUND``. The class's own if not given.
        metadata: Facts beside the message, such as the name that was not found.
        details: Further ``google.rpc`` detail messages; they travel over gRPC only.
        grpc_code: The gRPC status code, where the usual one of the HTTP status is not meant: 6 is ALREADY_EXISTS, which
            is 409 as ABORTED is. It brings that status with it; beside another ``code`` it does not count.
        retry_after: How many seconds to wait before another try, less than zero for no other try; see the property.

    Attributes:
        unsent: Whether the call certainly never left this process. Channels say so; it does not travel.

    Example:
        >>> Error("there is such a user", grpc_code=6)
        Error('there is such a user', code=409, reason='')
    """

    code: int = 500
    reason: str = ""
    unsent: bool = False
    _grpc: int | None = None  # the gRPC code it names, or came with
    _retry_after: float | None = None

    def __init__(
        self,
        message: str = "",
        *,
        code: int | None = None,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
        details: Iterable[object] = (),
        grpc_code: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if retry_after is not None:
            self._retry_after = retry_after
        if grpc_code is not None:
            self._grpc = grpc_code
            self.code = http_code(grpc_code)
        if code is not None:
            self.code = code
        if reason is not None:
            self.reason = reason
        self.metadata: dict[str, str] = dict(metadata) if metadata else {}
        self.details: tuple[object, ...] = tuple(details)

    @property
    def status(self) -> int:
        """The code as it may go on the wire: 400 to 599, anything else is 500."""
        return self.code if 400 <= self.code <= 599 else 500

    @property
    def grpc_code(self) -> int:
        """The gRPC status code number that belongs to ``status``: where several do, the one it names or came with."""
        own = self._grpc
        if own is not None and 0 < own < len(GRPC_TO_HTTP) and http_code(own) == self.status:
            return own
        return grpc_code(self.status)

    @property
    def plain(self) -> bool:
        """Whether it is a gRPC status and nothing more: it names its gRPC code, and no reason or metadata."""
        return self._grpc is not None and not self.reason and not self.metadata

    @property
    def retry_after(self) -> float | None:
        """How many seconds to wait before another try; less than zero is not to try, None says nothing of it.

        It travels as ``Retry-After`` over HTTP and as ``google.rpc.RetryInfo`` over gRPC; such a detail says it too.
        """
        if self._retry_after is not None:
            return self._retry_after
        for detail in self.details:  # by its shape: these words know no messages
            delay = getattr(detail, "retry_delay", None)
            seconds, nanos = getattr(delay, "seconds", None), getattr(delay, "nanos", None)
            if isinstance(seconds, int) and isinstance(nanos, int):
                return seconds + nanos / 1e9
        return None

    def __str__(self) -> str:
        head = f"{self.code} {self.reason}".rstrip()
        return f"{head}: {self.message}" if self.message else head

    def __repr__(self) -> str:
        facts = f", metadata={self.metadata!r}" if self.metadata else ""
        return f"{type(self).__name__}({self.message!r}, code={self.code}, reason={self.reason!r}{facts})"

    def __reduce__(self) -> tuple[object, ...]:
        facts: dict[str, object] = {"code": self.code, "reason": self.reason, "metadata": self.metadata}
        facts |= {"details": self.details, "retry_after": self._retry_after}
        return _rebuild, (type(self), self.message, facts), {} if self._grpc is None else {"_grpc": self._grpc}


def _rebuild(cls: type[Error], message: str, facts: dict[str, Any]) -> Error:
    return cls(message, **facts)


class ClientError(Error):
    """The caller is at fault (4xx)."""

    code = 400


class BadRequest(ClientError):
    """400: the request cannot be read or breaks a rule."""

    code = 400


class Unauthorized(ClientError):
    """401: nobody has signed in."""

    code = 401


class Forbidden(ClientError):
    """403: signed in, but not allowed."""

    code = 403


class NotFound(ClientError):
    """404: there is no such thing."""

    code = 404


class Conflict(ClientError):
    """409: somebody else changed it first, or it exists already."""

    code = 409


class PreconditionFailed(ClientError):
    """412: the state does not allow this."""

    code = 412


class TooManyRequests(ClientError):
    """429: a limit was reached; try later."""

    code = 429


class ClientClosed(ClientError):
    """499: the client left before the reply."""

    code = 499


class ServerError(Error):
    """The server is at fault (5xx)."""

    code = 500


class InternalServer(ServerError):
    """500: a defect or an unexpected failure."""

    code = 500


class Unimplemented(ServerError):
    """501: the method exists in the contract, not in this server."""

    code = 501


class ServiceUnavailable(ServerError):
    """503: not able to answer now; another try may succeed."""

    code = 503


class GatewayTimeout(ServerError):
    """504: the deadline passed."""

    code = 504


_BY_CODE: Mapping[int, type[Error]] = MappingProxyType(
    {
        cls.code: cls
        for cls in (
            BadRequest,
            Unauthorized,
            Forbidden,
            NotFound,
            Conflict,
            PreconditionFailed,
            TooManyRequests,
            ClientClosed,
            InternalServer,
            Unimplemented,
            ServiceUnavailable,
            GatewayTimeout,
        )
    }
)


KnownErrors: TypeAlias = Mapping[str, type[Error]]
"""Error classes by their wire reason, see ``by_reason``."""


def grpc_code(status: int) -> int:
    """Returns the gRPC code number of an HTTP status; without a row, its family decides.

    Example:
        >>> GRPC_NAMES[grpc_code(404)], GRPC_NAMES[grpc_code(422)], GRPC_NAMES[grpc_code(502)]
        ('NOT_FOUND', 'INVALID_ARGUMENT', 'INTERNAL')
    """
    code = HTTP_TO_GRPC.get(status)
    if code is not None:
        return code
    return 3 if 400 <= status <= 499 else 13


def http_code(code: int) -> int:
    """Returns the HTTP status of a gRPC code number; an unknown number is 500."""
    return GRPC_TO_HTTP[code] if 0 <= code < len(GRPC_TO_HTTP) else 500


def error_class(code: int) -> type[Error]:
    """Returns the class of a code: its own, else ``ClientError`` for 4xx and ``ServerError`` for the rest."""
    cls = _BY_CODE.get(code)
    if cls is not None:
        return cls
    return ClientError if 400 <= code <= 499 else ServerError


def by_reason(classes: Iterable[type[Error]]) -> KnownErrors:
    """Indexes generated error classes by their wire reason; where two share one, the first counts."""
    index: dict[str, type[Error]] = {}
    for cls in classes:
        index.setdefault(cls.reason, cls)
    return MappingProxyType(index)


def restore(
    code: int,
    reason: str = "",
    message: str = "",
    metadata: Mapping[str, str] | None = None,
    *,
    details: Iterable[object] = (),
    known: KnownErrors = MappingProxyType({}),
    grpc: int | None = None,
    retry_after: float | None = None,
) -> Error:
    """Makes the error that arrived from a peer.

    Args:
        code: The HTTP status that the peer meant; it is kept even if the class has another.
        reason: Matched verbatim against ``known``.
        message: The peer's message.
        metadata: The peer's facts.
        details: Further detail messages.
        known: Classes by reason, see ``by_reason``.
        grpc: The gRPC code number it came with, if it did: two of them may have one HTTP status.
        retry_after: When the peer wants to see another try.
    """
    cls = known.get(reason) if reason else None
    if cls is None:
        cls = error_class(code)
    error = cls(message, code=code, reason=reason, metadata=metadata, details=details)
    error._retry_after = retry_after
    if grpc is not None and 0 < grpc < len(GRPC_TO_HTTP):
        error._grpc = grpc
    return error
