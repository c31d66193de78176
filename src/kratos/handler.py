"""The law of the house, on client and server, HTTP and gRPC, unary and stream.

::

    Handler    = async (request, call) -> reply
    Middleware = async (request, call, next) -> reply

``await next(request, call)`` spans the whole call whatever its kind, so ``try / await next / except / finally`` is
right for unary calls and streams alike. Where requests are streamed, ``request`` is a ``Messages``; where replies are
streamed, ``next`` returns None once the last one is out. Work on single messages: ``next(request.map(fn), call)`` for
requests, ``call.each_reply(fn)`` for replies.

A chain is put together once per operation, when a server or client is built. A middleware with a method
``bind(operation)`` is asked then what it wants to be for this operation: itself, another middleware, or None for
"not here".
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Hashable, Iterable, Sequence
from inspect import isawaitable
from typing import Any, Generic, Protocol, TypeAlias, TypeGuard, TypeVar, cast, runtime_checkable

from kratos.call import Call, enter_call, leave_call
from kratos.errors import Error, InternalServer
from kratos.metrics.base import Measured, Meter
from kratos.operation import AnyOperation

__all__ = [
    "Binding",
    "Handler",
    "Limiting",
    "Messages",
    "Middleware",
    "Telling",
    "Where",
    "chain",
    "conceal",
    "only",
    "outcome",
    "time_limit",
    "told_once",
    "unwrapped",
]

logger = logging.getLogger("kratos.handler")

# uvloop's clock counts milliseconds, so a deadline may strike this much early by a finer one.
_CLOCK_SECONDS = 0.002

T = TypeVar("T")
U = TypeVar("U")

Handler: TypeAlias = Callable[[Any, Call], Awaitable[Any]]
"""``async (request, call) -> reply``."""


class Middleware(Protocol):
    """``async (request, call, next) -> reply``."""

    def __call__(self, request: Any, call: Call, next: Handler, /) -> Awaitable[Any]:
        """Handles one call.

        Args:
            request: The message, or ``Messages`` where requests are streamed.
            call: The call, the same object for the whole chain.
            next: The rest of the chain. Call it once, more than once (a retry, on a client), or not at all.

        Returns:
            The reply; None where replies are streamed.

        Raises:
            Error: To fail the call. Any other exception becomes a 500 without its text.
            asyncio.CancelledError: Must be let through: the caller left or time is up.
        """
        ...


@runtime_checkable
class Binding(Protocol):
    """A middleware that is asked, at build time, what it wants to be for an operation."""

    def bind(self, operation: AnyOperation, /) -> Middleware | None:
        """Returns the middleware to put into this operation's chain, None for none."""
        ...


@runtime_checkable
class Limiting(Protocol):
    """A middleware, or what its bound method belongs to, that ends calls after some time."""

    @property
    def seconds(self) -> float:
        """How long a call that begins now may take."""
        ...


@runtime_checkable
class Telling(Protocol):
    """A middleware, or what its bound method belongs to, that tells of each call somewhere: counts it, logs it."""

    def tells(self, meter: Meter, /) -> tuple[str, Hashable]:
        """Returns what it is called, and where it tells of a call.

        Args:
            meter: The app's, for who has no other.
        """
        ...


class Messages(Generic[T]):
    """The streamed requests of one call: an async iterator to read once.

    Args:
        source: Where the messages come from.

    Attributes:
        begun: Whether somebody has begun to read: then the first message may be gone.
    """

    __slots__ = ("_iterator", "begun")

    def __init__(self, source: AsyncIterable[T]) -> None:
        self._iterator = aiter(source)
        self.begun = False

    def __aiter__(self) -> Messages[T]:
        return self

    def __anext__(self) -> Awaitable[T]:
        self.begun = True
        return anext(self._iterator)

    def map(self, fn: Callable[[T], U | Awaitable[U]]) -> Messages[U]:
        """Returns these messages after ``fn``, which may be async. Nothing is read ahead."""
        return Messages(_Mapped(self._iterator, fn))


class _Mapped(Generic[T, U]):
    # A class and not an async generator: a generator that is left half-way needs closing, this holds nothing.
    __slots__ = ("_fn", "_source")

    def __init__(self, source: AsyncIterator[T], fn: Callable[[T], U | Awaitable[U]]) -> None:
        self._source = source
        self._fn = fn

    def __aiter__(self) -> _Mapped[T, U]:
        return self

    async def __anext__(self) -> U:
        result: Any = self._fn(await anext(self._source))
        return cast("U", await result if isawaitable(result) else result)


def chain(middleware: Iterable[Middleware], handler: Handler, operation: AnyOperation) -> Handler:
    """Puts the middleware of one operation in front of its handler; the first one is outermost.

    ``chain(a + b, h, op)`` behaves as ``chain(a, chain(b, h, op), op)``.
    """
    for member in reversed(list(_bound(middleware, operation))):
        handler = _link(member, handler)
    return handler


def time_limit(middleware: Iterable[Middleware], operation: AnyOperation) -> float | None:
    """Returns the shortest limit, in seconds, that the middleware of one operation set to it; None for none."""
    owners = [getattr(member, "__self__", member) for member in _bound(middleware, operation)]
    return min((owner.seconds for owner in owners if isinstance(owner, Limiting)), default=None)


def told_once(middleware: Iterable[Middleware], operation: AnyOperation, meter: Meter) -> None:
    """Sees to it that each call of one operation is told once in each place.

    Args:
        middleware: The whole chain.
        operation: What is called.
        meter: The app's.

    Raises:
        ValueError: It would be counted, or logged, twice; the message says what to leave out.
    """
    seen: set[tuple[str, Hashable]] = set()
    for member in _bound(middleware, operation):
        owner = getattr(member, "__self__", member)
        if not isinstance(owner, Telling):
            continue
        told = owner.tells(meter)
        if told in seen:
            raise ValueError(
                f"{told[0]} is twice in the chain of {operation.name}, so each call would count twice: a server has "
                "the app's middleware first, and for an app that is given none that is recovery(), metrics(), "
                f"access_log(). Leave out the server's {told[0]}, or give the app middleware=[...] without it"
            )
        seen.add(told)


def _link(middleware: Middleware, following: Handler) -> Handler:
    # A plain lambda leaves no frame in tracebacks and is cheaper than functools.partial (hot path: about 0.2 us).
    return lambda request, call: middleware(request, call, following)


def _bound(middleware: Iterable[Middleware], operation: AnyOperation) -> Iterable[Middleware]:
    for member in middleware:
        bound = member.bind(operation) if isinstance(member, Binding) else member
        if isinstance(bound, _Group):
            yield from _bound(bound.members, operation)
        elif bound is not None:
            yield bound


Where: TypeAlias = str | re.Pattern[str] | Callable[[AnyOperation], bool]
"""Which operations: a name, a prefix that ends in ``*``, a pattern for the whole name, or a predicate.

Names are ``/package.Service/Method``, of which the leading slash may be left out; routes beside the contract are
called ``HTTP GET /path``.
"""


def only(where: Where | Sequence[Where], *middleware: Middleware) -> Middleware:
    """Restricts middleware to some operations; decided once per operation, free on the request path.

    Args:
        where: One rule or several, of which one must hold.
        middleware: What to run there, the first one outermost.

    Raises:
        TypeError: A rule is none of the four forms.

    Example:
        ``only("/shop.v1.Orders/*", auth())``
    """
    rules: Sequence[Where] = [where] if isinstance(where, str | re.Pattern) or callable(where) else where
    return _Only([_predicate(rule) for rule in rules], _Group(middleware))


class _Group:
    """Several middleware in the place of one."""

    __slots__ = ("members",)

    def __init__(self, members: Iterable[Middleware]) -> None:
        self.members = tuple(members)

    def __call__(self, request: Any, call: Call, next: Handler) -> Awaitable[Any]:
        return chain(self.members, next, call.operation)(request, call)


class _Only:
    __slots__ = ("_group", "_rules")

    def __init__(self, rules: Sequence[Callable[[AnyOperation], bool]], group: _Group) -> None:
        self._rules = rules
        self._group = group

    def bind(self, operation: AnyOperation) -> Middleware | None:
        return self._group if any(rule(operation) for rule in self._rules) else None

    def measure(self, meter: Meter, /) -> None:
        for member in self._group.members:
            if isinstance(member, Measured):
                member.measure(meter)

    def __call__(self, request: Any, call: Call, next: Handler) -> Awaitable[Any]:
        # Reached only outside of chain(), which asks bind() instead.
        bound = self.bind(call.operation)
        return next(request, call) if bound is None else bound(request, call, next)


def _predicate(rule: Where) -> Callable[[AnyOperation], bool]:
    if isinstance(rule, str):
        name = rule.removeprefix("/")
        if name.endswith("*"):
            return lambda operation: operation.name.removeprefix("/").startswith(name[:-1])
        return lambda operation: operation.name.removeprefix("/") == name
    if isinstance(rule, re.Pattern):
        return lambda operation: rule.fullmatch(operation.name) is not None
    if callable(rule):
        return rule
    raise TypeError(f"only() takes a name, a prefix ending in *, a compiled pattern or a predicate, not {rule!r}")


def conceal(failure: Exception, call: Call) -> Error:
    """Returns what a client may know of a failure, and logs the rest under the id that the client gets.

    The id also becomes the field ``error_id`` of the call. An ``Error``, also one that a TaskGroup has wrapped, was
    meant for the client: it is returned as it is, and nothing is logged. The request never is.

    Args:
        failure: What a handler or middleware raised.
        call: The call that ends with it.
    """
    failure = unwrapped(failure)
    if isinstance(failure, Error):
        return failure
    error_id = os.urandom(8).hex()
    call.fields["error_id"] = error_id
    # A failure may come to light outside of the call, such as a reply that cannot be written; its line has the fields
    # of the call all the same.
    token = enter_call(call if call.side == "server" else call.parent)
    try:
        logger.error("%s failed, error id %s", call.operation.name, error_id, exc_info=failure)
    finally:
        leave_call(token)
    return InternalServer("internal error", reason="UNKNOWN", metadata={"error_id": error_id})


def outcome(failure: BaseException, call: Call) -> tuple[int, str]:
    """Returns the code and the reason that a failed call is counted and logged by.

    Args:
        failure: What came out of ``await next(request, call)``.
        call: The call. If its caller has left, that is 499; if its time is up, 504.
    """
    if isinstance(failure, Exception):
        failure = unwrapped(failure)
    if isinstance(failure, Error):
        return failure.status, str(failure.reason)
    if isinstance(failure, asyncio.CancelledError):
        remaining = call.remaining()
        if remaining is not None and remaining <= _CLOCK_SECONDS:
            return 504, "DEADLINE_EXCEEDED"
        return 499, "CANCELLED"
    return 500, "UNKNOWN"


def unwrapped(failure: Exception) -> Exception:
    """Returns what a TaskGroup in the handler has wrapped, if it is a single failure."""
    while _is_group(failure) and len(failure.exceptions) == 1:
        failure = failure.exceptions[0]
    return failure


def _is_group(failure: Exception) -> TypeGuard[ExceptionGroup[Exception]]:
    return isinstance(failure, ExceptionGroup)
