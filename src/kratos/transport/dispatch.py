"""From an operation to its prebuilt chain: where every served call runs, whatever transport brought it.

Dispatch is safe alone: whatever a handler or middleware raises leaves it as an ``Error``, with or without the
``recovery()`` middleware, and no exception text reaches a client.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from kratos.call import AppInfo, Call, enter_call, leave_call
from kratos.errors import ClientClosed, Error
from kratos.handler import Handler, Middleware, chain, conceal, time_limit, told_once
from kratos.metrics.base import Meter
from kratos.metrics.noop import NoopMeter
from kratos.operation import AnyOperation
from kratos.service import Service, unblocked
from kratos.transport.deadline import Deadlines, Seconds

__all__ = ["Dispatcher", "Endpoint"]

logger = logging.getLogger("kratos.dispatch")

_FAIR_REPLIES = 32
"""After so many streamed replies others get a turn: neither the handler nor a write to a socket need ever wait, and the
event loop would hear of nobody else then, not even that the client has left."""


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """One operation, ready to serve.

    Attributes:
        operation: What it answers.
        handler: The chain of middleware with the service's method at its end.
        usual: Whether the server's usual time limit applies.
        limit: The seconds that its middleware grants it at most; None is no limit.
        own: Whether it is the server's own.
    """

    operation: AnyOperation
    handler: Handler
    usual: bool
    limit: float | None = None
    own: bool = False


class Dispatcher:
    """The operations of some services behind one chain of middleware.

    Args:
        services: What to serve.
        middleware: What every call passes, the first one outermost.
        timeout: Seconds for a unary call; None is no limit, a live value may change. Streams have none.
        threads: How many plain ``def`` methods may run at a time, in threads; further calls wait for one, which counts
            toward their deadline.
        app: Who is serving, for ``call.app``.
        own: Services of the server itself, which pass no middleware.

    Raises:
        ValueError: Two services implement the same operation, or ``threads`` is less than one.
        TypeError: A method is not what its kind needs.
    """

    def __init__(
        self,
        services: Iterable[Service],
        middleware: Iterable[Middleware] = (),
        *,
        timeout: Seconds = 10.0,
        threads: int = 40,
        app: AppInfo | None = None,
        own: Iterable[Service] = (),
    ) -> None:
        self.app = app
        self.meter: Meter = NoopMeter() if app is None else app.meter
        self._threads = _Threads(threads)
        self._deadlines = Deadlines(timeout, "server")
        middleware = list(middleware)
        owners: dict[str, Service] = {}
        endpoints: dict[str, Endpoint] = {}
        for service, is_own in (*((each, False) for each in services), *((each, True) for each in own)):
            passed = [] if is_own else middleware
            for name, operation in service.__operations__:
                if operation.name in endpoints:
                    raise ValueError(
                        f"{operation.name} is served by {_name(owners[operation.name])} and by {_name(service)}: "
                        "pass one of them"
                    )
                owners[operation.name] = service
                told_once(passed, operation, self.meter)
                handler = chain(passed, _terminal(service, name, operation, self._threads), operation)
                limit = time_limit(passed, operation)
                endpoints[operation.name] = Endpoint(operation, handler, not operation.streams, limit, is_own)
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
        try:
            with self._deadlines.watch(call, usual=endpoint.usual) as watch:
                try:
                    return await endpoint.handler(request, call)
                except Error:
                    raise
                except asyncio.CancelledError:
                    if watch.expired or watch.interrupted():
                        raise
                    # Nobody stopped this call: the handler awaited something that was cancelled.
                    raise ClientClosed("the work behind this call was cancelled", reason="CANCELLED") from None
                except Exception as failure:
                    raise conceal(failure, call) from failure
        finally:
            leave_call(token)

    def limit(self, endpoint: Endpoint) -> float | None:
        """Returns the seconds that a call has here at most, by the server's limit and by those of its middleware."""
        usual = self._deadlines.seconds if endpoint.usual else None
        return min((limit for limit in (usual, endpoint.limit) if limit is not None), default=None)

    def close(self) -> None:
        """Lets the threads of ``def`` methods end, those at work with their method; a later call starts new ones."""
        self._threads.close()


def _terminal(service: Service, name: str, operation: AnyOperation, threads: _Threads) -> Handler:
    """Returns the end of the chain: the service's method in the shape of a handler."""
    method: Callable[[Any, Call], Any] = getattr(service, name)
    where = f"{_name(service)}.{name}"
    if operation.server_streams:
        if inspect.iscoroutinefunction(method) or inspect.isgeneratorfunction(method):
            raise TypeError(
                f"{where} answers with a stream: make it an async generator (use `yield`), "
                "or a plain def that returns an async iterator"
            )
        return _pump(method)
    if inspect.isasyncgenfunction(method) or inspect.isgeneratorfunction(method):
        raise TypeError(f"{where} answers with one reply: it must return it, not yield")
    plain = unblocked(method) or (None if inspect.iscoroutinefunction(method) else method)
    if plain is None:
        return _call(method)
    if operation.client_streams:
        raise TypeError(f"{where} reads a stream, so it must be `async def`: only unary methods run in threads")
    return _threaded(plain, threads)


def _call(method: Callable[[Any, Call], Any]) -> Handler:
    # Plain def: it hands on the method's coroutine and leaves no frame between the chain and the user's code.
    def answer(request: Any, call: Call) -> Any:
        if call.rejected is not None:
            raise call.rejected
        return method(request, call)

    return answer


def _threaded(method: Callable[[Any, Call], Any], threads: _Threads) -> Handler:
    async def answer(request: Any, call: Call) -> Any:
        if call.rejected is not None:
            raise call.rejected
        reply = await threads.run(method, request, call)
        return await reply if inspect.isawaitable(reply) else reply  # a def that only hands on somebody's coroutine

    return answer


def _pump(method: Callable[[Any, Call], AsyncIterator[Any]]) -> Handler:
    async def pump(request: Any, call: Call) -> None:
        if call.rejected is not None:
            raise call.rejected
        replies = method(request, call)
        sent = 0
        try:
            async for reply in replies:
                await call.stream_reply(reply)
                sent += 1
                if sent % _FAIR_REPLIES == 0:
                    await asyncio.sleep(0)
        finally:
            close = getattr(replies, "aclose", None)
            if close is not None:
                await close()

    return pump


def _name(service: Service) -> str:
    return f"{type(service).__module__}.{type(service).__qualname__}"


class _Threads:
    """Runs plain ``def`` methods, some at a time, each in a copy of its call's context.

    Args:
        size: How many may run at a time.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"threads={size}: plain def methods need at least one thread")
        self._size = size
        # Waiting happens here and not in the pool's queue: whoever leaves while waiting leaves nothing behind.
        self._free = asyncio.Semaphore(size)
        self._pool: ThreadPoolExecutor | None = None

    async def run(self, method: Callable[[Any, Call], Any], request: Any, call: Call) -> Any:
        """Returns what the method returns.

        Raises:
            asyncio.CancelledError: The caller left or time is up. The thread runs on, and counts until it is done.
        """
        free = self._free
        await free.acquire()
        context = copy_context()
        try:
            work = self._executor().submit(context.run, _run, method, request, call)
        except BaseException:
            free.release()
            raise
        loop = asyncio.get_running_loop()
        answer = asyncio.wrap_future(work)

        def done(work: Future[Any]) -> None:
            if answer.cancelled() and not work.cancelled():
                context.run(_report, work.exception(), call)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there
                loop.call_soon_threadsafe(free.release)

        work.add_done_callback(done)
        return await answer

    def _executor(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._size, thread_name_prefix="kratos def")
        return self._pool

    def close(self) -> None:
        pool, self._pool = self._pool, None
        self._free = asyncio.Semaphore(self._size)  # a semaphore that was waited for belongs to that event loop
        if pool is not None:
            pool.shutdown(wait=False)


def _run(method: Callable[[Any, Call], Any], request: Any, call: Call) -> Any:
    try:
        return method(request, call)
    except StopIteration as stop:  # A future cannot carry it: on Python 3.11 the caller would wait for ever.
        raise RuntimeError(f"{call.operation.name} raised StopIteration") from stop


def _report(failure: BaseException | None, call: Call) -> None:
    """Logs a failure that nobody waits for any more."""
    if failure is not None and not isinstance(failure, Error):
        logger.error("%s failed in its thread after its caller was gone", call.operation.name, exc_info=failure)
