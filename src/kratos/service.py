"""Services and their clients, as generated code sees them: two base classes, one constant table, four kinds of call.

This module is the contract between generated code and the library. It only grows within a major version; generated
modules say which contract they were written for, and ``require`` refuses one from the future.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import wraps
from types import CoroutineType, MethodType
from typing import Any, ClassVar, Final, ParamSpec, Protocol, TypeVar

from kratos.call import CallOptions
from kratos.errors import Error, KnownErrors, Unimplemented, by_reason
from kratos.handler import Messages
from kratos.operation import AnyOperation, Bidi, ClientStream, ServerStream, Unary

__all__ = [
    "CONTRACT",
    "BidiCall",
    "CallOptions",
    "ClientStreamCall",
    "Invoker",
    "Messages",
    "ServerStreamCall",
    "Service",
    "Stub",
    "blocking",
    "require",
    "unimplemented",
]

Req = TypeVar("Req")
Rep = TypeVar("Rep")
Req_contra = TypeVar("Req_contra", contravariant=True)
Rep_co = TypeVar("Rep_co", covariant=True)
P = ParamSpec("P")
T = TypeVar("T")

_BLOCKING: Final = "__kratos_blocking__"

CONTRACT = 1
"""The newest contract with generated code that this library fulfils."""


def require(contract: int, source: str) -> None:
    """Refuses generated code that expects more than this library offers; called by generated modules on import.

    Args:
        contract: The contract number the module was generated for.
        source: The ``.proto`` file it was generated from.

    Raises:
        ImportError: The module is newer than the library.
    """
    if contract > CONTRACT:
        raise ImportError(
            f"the code generated from {source} follows contract {contract}, this kratos-py knows up to {CONTRACT}: "
            "upgrade kratos-py, or run `kratos generate` with the installed version"
        )


class ServerStreamCall(Protocol[Rep_co]):
    """The replies of one call, to iterate; inside ``async with`` only."""

    def __aiter__(self) -> AsyncIterator[Rep_co]: ...

    def __anext__(self) -> Awaitable[Rep_co]:
        """Returns the next reply.

        Raises:
            StopAsyncIteration: That was the last one.
            Error: The call failed.
        """
        ...


class ClientStreamCall(Protocol[Req_contra, Rep_co]):
    """The requests of one call and its one reply; inside ``async with`` only."""

    async def send(self, request: Req_contra, /) -> None:
        """Sends one request; waits while the other side is slower.

        Raises:
            Error: The call has failed.
        """
        ...

    async def reply(self) -> Rep_co:
        """Says that all is sent and returns the reply.

        Raises:
            Error: The call failed.
        """
        ...


class BidiCall(Protocol[Req_contra, Rep_co]):
    """Requests and replies of one call, in any order; inside ``async with`` only."""

    async def send(self, request: Req_contra, /) -> None:
        """Sends one request; waits while the other side is slower.

        Raises:
            Error: The call has failed.
        """
        ...

    async def done(self) -> None:
        """Says that all is sent; replies may still come."""
        ...

    def __aiter__(self) -> AsyncIterator[Rep_co]: ...

    def __anext__(self) -> Awaitable[Rep_co]:
        """Returns the next reply.

        Raises:
            StopAsyncIteration: That was the last one.
            Error: The call failed.
        """
        ...


class Invoker(Protocol):
    """What makes calls: a client connection, whatever its transport. Generated clients stand on it.

    Every method is safe to use from several tasks at once. Cancelling the caller, or leaving the ``async with`` block
    of a stream, cancels the call. A failed call raises the class that ``known`` has for its reason, else that of its
    code.
    """

    async def unary(self, operation: Unary[Req, Rep], request: Req, options: CallOptions, known: KnownErrors, /) -> Rep:
        """Sends one request and returns the reply."""
        ...

    def server_stream(
        self, operation: ServerStream[Req, Rep], request: Req, options: CallOptions, known: KnownErrors, /
    ) -> AbstractAsyncContextManager[ServerStreamCall[Rep]]:
        """Sends one request and opens the replies."""
        ...

    def client_stream(
        self, operation: ClientStream[Req, Rep], options: CallOptions, known: KnownErrors, /
    ) -> AbstractAsyncContextManager[ClientStreamCall[Req, Rep]]:
        """Opens the requests of one call."""
        ...

    def bidi(
        self, operation: Bidi[Req, Rep], options: CallOptions, known: KnownErrors, /
    ) -> AbstractAsyncContextManager[BidiCall[Req, Rep]]:
        """Opens both directions of one call."""
        ...


class Service:
    """Base of generated service classes: subclass the generated one and override its methods.

    Attributes:
        __operations__: Method name and operation of each RPC.
        __errors__: The error classes of the service's package.
    """

    __operations__: ClassVar[tuple[tuple[str, AnyOperation], ...]] = ()
    __errors__: ClassVar[tuple[type[Error], ...]] = ()


class Stub:
    """Base of generated clients.

    Args:
        invoker: The connection that makes the calls.
        errors: Further error classes to recognise by reason, beside those of the service's package.
    """

    __slots__ = ("_invoker", "_known")
    __errors__: ClassVar[tuple[type[Error], ...]] = ()

    def __init__(self, invoker: Invoker, *, errors: tuple[type[Error], ...] = ()) -> None:
        self._invoker = invoker
        self._known = by_reason((*errors, *self.__errors__))


def unimplemented(operation: AnyOperation, /, *_asked: object) -> Error:
    """Returns the error of an RPC that the contract names and the service does not implement.

    Generated methods also hand over what they were asked, so that linters see their arguments used.
    """
    return Unimplemented(f"{operation.name} is not implemented by this server", reason="UNIMPLEMENTED")


def blocking(method: Callable[P, T]) -> Callable[P, CoroutineType[Any, Any, T]]:
    """Makes a plain ``def`` of a unary method, for work that blocks: it runs in the server's pool of threads.

    A plain ``def`` alone runs there too; the decorator tells type checkers so, because the generated base declares
    ``async def``. ``current_call()`` is the call there as well. When the caller has left or time is up the caller gets
    its answer at once, while the thread runs on to the end of the method: Python cannot stop it. Anywhere else than in
    a server, awaiting the method runs it in a thread of the event loop.

    Example:
        ``@blocking`` above ``def get_report(self, request: ReportRequest, call: Call) -> Report:``
    """

    @wraps(method)
    async def answer(*args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(method, *args, **kwargs)

    vars(answer)[_BLOCKING] = method
    # The two checkers disagree on what an ``async def`` returns; both accept the narrower type for an override.
    marked: Any = answer
    result: Callable[P, CoroutineType[Any, Any, T]] = marked
    return result


def unblocked(method: Callable[..., Any]) -> Callable[..., Any] | None:
    """Returns the plain method that ``blocking`` has wrapped, None if it has not; for dispatchers."""
    plain: Callable[..., Any] | None = getattr(method, _BLOCKING, None)
    owner = getattr(method, "__self__", None)
    return plain if plain is None or owner is None else MethodType(plain, owner)
