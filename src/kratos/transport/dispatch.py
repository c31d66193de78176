"""From an operation to its prebuilt chain: where every served call runs, whatever transport brought it.

Dispatch is safe alone: whatever a handler or middleware raises leaves it as an ``Error``, with or without the
``recovery()`` middleware, and no exception text reaches a client.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeGuard

from kratos.call import AppInfo, Call, enter_call, leave_call
from kratos.errors import ClientClosed, Error, InternalServer
from kratos.handler import Handler, Middleware, chain
from kratos.operation import AnyOperation
from kratos.service import Service
from kratos.transport.deadline import Deadlines, expired

__all__ = ["Dispatcher", "Endpoint"]

logger = logging.getLogger("kratos.dispatch")


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """One operation, ready to serve.

    Attributes:
        operation: What it answers.
        handler: The chain of middleware with the service's method at its end.
        usual: Whether the server's usual time limit applies.
    """

    operation: AnyOperation
    handler: Handler
    usual: bool


class Dispatcher:
    """The operations of some services behind one chain of middleware.

    Args:
        services: What to serve.
        middleware: What every call passes, the first one outermost.
        timeout: Seconds for a unary call; None is no limit. Streams have none.
        app: Who is serving, for ``call.app``.

    Raises:
        ValueError: Two services implement the same operation.
        TypeError: A method is not what its kind needs.
    """

    def __init__(
        self,
        services: Iterable[Service],
        middleware: Iterable[Middleware] = (),
        *,
        timeout: float | None = 10.0,
        app: AppInfo | None = None,
    ) -> None:
        self.app = app
        self._deadlines = Deadlines(timeout, "server")
        middleware = list(middleware)
        owners: dict[str, Service] = {}
        endpoints: dict[str, Endpoint] = {}
        for service in services:
            for name, operation in service.__operations__:
                if operation.name in endpoints:
                    raise ValueError(
                        f"{operation.name} is served by {_name(owners[operation.name])} and by {_name(service)}: "
                        "pass one of them"
                    )
                owners[operation.name] = service
                handler = chain(middleware, _terminal(service, name, operation), operation)
                streams = operation.client_streams or operation.server_streams
                endpoints[operation.name] = Endpoint(operation, handler, not streams)
        self.endpoints: Mapping[str, Endpoint] = MappingProxyType(endpoints)

    async def dispatch(self, endpoint: Endpoint, request: Any, call: Call) -> Any:
        """Runs one call to its end in the current task.

        Args:
            endpoint: One of ``endpoints``.
            request: The message, or ``Messages`` where requests are streamed.
            call: The call; its deadline is the client's wish, which the server's limit may shorten.

        Returns:
            The reply, None where replies are streamed.

        Raises:
            Error: The call failed.
            asyncio.CancelledError: The caller has left; nobody waits for an answer.
        """
        token = enter_call(call)
        watch = self._deadlines.watch(call, usual=endpoint.usual)
        try:
            return await endpoint.handler(request, call)
        except Error:
            raise
        except asyncio.CancelledError:
            if watch.interrupted():
                raise
            if watch.expired:
                raise expired(call) from None
            # Nobody stopped this call: the handler awaited something that was cancelled.
            raise ClientClosed("the work behind this call was cancelled", reason="CANCELLED") from None
        except Exception as failure:
            raise _concealed(failure, call) from failure
        finally:
            watch.leave()
            leave_call(token)


def _concealed(failure: Exception, call: Call) -> Error:
    """Returns what a client may know of an unexpected failure, and logs the rest under the same id."""
    failure = _unwrapped(failure)
    if isinstance(failure, Error):
        return failure
    error_id = secrets.token_hex(8)
    logger.error("%s failed, error id %s", call.operation.name, error_id, exc_info=failure)
    return InternalServer("internal error", reason="UNKNOWN", metadata={"error_id": error_id})


def _unwrapped(failure: Exception) -> Exception:
    """Returns what a TaskGroup in the handler has wrapped, if it is a single failure."""
    while _is_group(failure) and len(failure.exceptions) == 1:
        failure = failure.exceptions[0]
    return failure


def _is_group(failure: Exception) -> TypeGuard[ExceptionGroup[Exception]]:
    return isinstance(failure, ExceptionGroup)


def _terminal(service: Service, name: str, operation: AnyOperation) -> Handler:
    """Returns the end of the chain: the service's method in the shape of a handler."""
    method: Callable[[Any, Call], Any] = getattr(service, name)
    if operation.server_streams:
        if inspect.iscoroutinefunction(method):
            raise TypeError(
                f"{_name(service)}.{name} answers with a stream: make it an async generator (use `yield`), "
                "or a plain def that returns an async iterator"
            )
        return _pump(method)
    if not inspect.iscoroutinefunction(method):
        raise TypeError(f"{_name(service)}.{name} must be `async def`: it answers with one reply")

    # Plain def: it hands on the method's coroutine and leaves no frame between the chain and the user's code.
    def answer(request: Any, call: Call) -> Any:
        if call.rejected is not None:
            raise call.rejected
        return method(request, call)

    return answer


def _pump(method: Callable[[Any, Call], AsyncIterator[Any]]) -> Handler:
    async def pump(request: Any, call: Call) -> None:
        if call.rejected is not None:
            raise call.rejected
        replies = method(request, call)
        try:
            async for reply in replies:
                await call.stream_reply(reply)
        finally:
            close = getattr(replies, "aclose", None)
            if close is not None:
                await close()

    return pump


def _name(service: Service) -> str:
    return f"{type(service).__module__}.{type(service).__qualname__}"
