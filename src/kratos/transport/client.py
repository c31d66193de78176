"""The client: one chain of middleware in front of a channel, for all four kinds of call.

A unary call runs in its caller's task. A stream runs its chain in one task of its own, which fills a bounded inbox that
the caller iterates; leaving the ``async with`` block cancels that task and waits for it, so nothing is left behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from kratos.call import Call, current_call
from kratos.errors import ClientClosed, Error, GatewayTimeout, KnownErrors
from kratos.handler import Handler, Messages, Middleware, chain
from kratos.metadata import Metadata
from kratos.metrics.base import Meter
from kratos.operation import AnyOperation, Bidi, ClientStream, ServerStream, Unary
from kratos.service import BidiCall, CallOptions, ClientStreamCall, ServerStreamCall
from kratos.transport.deadline import Deadlines, Seconds, expired
from kratos.transport.pipe import Pipe
from kratos.transport.resolve import Channels

__all__ = ["Client"]

Req = TypeVar("Req")
Rep = TypeVar("Rep")


class Client:
    """Makes calls through a channel. Generated clients take it as their invoker.

    Use it as an async context manager: entering it begins to look for nodes, leaving it closes every connection.

    Args:
        channels: Where the calls go.
        middleware: What every call passes, the first one outermost.
        timeout: Seconds for a unary call; None is no limit, a live value may change. Streams have none.
    """

    def __init__(self, channels: Channels, *, middleware: Iterable[Middleware] = (), timeout: Seconds = 2.0) -> None:
        self._channels = channels
        self._middleware = tuple(middleware)
        self._deadlines = Deadlines(timeout, "client")
        self._chains: dict[AnyOperation, Handler] = {}

    async def unary(self, operation: Unary[Req, Rep], request: Req, options: CallOptions, known: KnownErrors, /) -> Rep:
        """Sends one request and returns the reply; see ``Invoker``."""
        call = self.new_call(operation, options, known)
        with self._deadlines.watch(call, usual="timeout" not in options):
            return cast("Rep", await self._chain(operation)(request, call))

    def server_stream(
        self, operation: ServerStream[Req, Rep], request: Req, options: CallOptions, known: KnownErrors, /
    ) -> AbstractAsyncContextManager[ServerStreamCall[Rep]]:
        """Sends one request and opens the replies; see ``Invoker``."""
        return _Stream[Req, Rep](self, operation, options, known, request)

    def client_stream(
        self, operation: ClientStream[Req, Rep], options: CallOptions, known: KnownErrors, /
    ) -> AbstractAsyncContextManager[ClientStreamCall[Req, Rep]]:
        """Opens the requests of one call; see ``Invoker``."""
        return _Stream[Req, Rep](self, operation, options, known)

    def bidi(
        self, operation: Bidi[Req, Rep], options: CallOptions, known: KnownErrors, /
    ) -> AbstractAsyncContextManager[BidiCall[Req, Rep]]:
        """Opens both directions of one call; see ``Invoker``."""
        return _Stream[Req, Rep](self, operation, options, known)

    async def __aenter__(self) -> Self:
        await self._channels.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._channels!r}>"

    async def aclose(self) -> None:
        """Closes every connection; calls under way fail. Calling it again does nothing."""
        await self._channels.aclose()

    def measure(self, meter: Meter) -> None:
        """Shows the nodes of this client, and counts those that are left alone; see ``Measured``."""
        self._channels.measure(meter)

    async def run_stream(self, request: Any, call: Call) -> Any:
        """Runs the chain of a stream to its end in the current task."""
        with self._deadlines.watch(call, usual=False):
            return await self._chain(call.operation)(request, call)

    def new_call(
        self,
        operation: AnyOperation,
        options: CallOptions,
        known: KnownErrors,
        sink: Callable[[Any], Awaitable[None]] | None = None,
    ) -> Call:
        """Makes the call object of one flight, inside whatever call is being served here."""
        parent = current_call()
        call = Call(
            operation,
            kind=self._channels.kind,
            side="client",
            headers=Metadata(options.get("headers", ())),
            reply=options.get("reply"),
            parent=parent,
            sink=sink,
        )
        call.options = options
        call.known = known
        if parent is not None and parent.deadline is not None:
            call.deadline = parent.deadline
            call.limit = parent.limit
        timeout = options.get("timeout")
        if timeout is not None:
            call.shorten(timeout, "client")
        return call

    def _chain(self, operation: AnyOperation) -> Handler:
        handler = self._chains.get(operation)
        if handler is None:
            handler = self._chains[operation] = chain(self._middleware, self._send, operation)
        return handler

    async def _send(self, request: Any, call: Call) -> Any:
        while True:  # as long as nothing was sent, and there is another node to try
            with await self._channels.pick(call, request) as attempt:
                channel = attempt.channel
                call.peer = channel.peer
                try:
                    return await (channel.stream if call.operation.streams else channel.unary)(request, call)
                except asyncio.CancelledError:
                    if call.overdue:  # said here and not by the watch, so that middleware see the error
                        raise expired(call) from None
                    raise
                except GatewayTimeout as late:
                    # The peer's client is us, and we have the time from somebody who may be another one.
                    if late.metadata.get("limit") == "client" and call.limit not in (None, "client"):
                        raise expired(call) from late
                    raise


class _Stream(Generic[Req, Rep]):
    """One call of a streaming kind, from the caller's side: a context manager that is its own stream."""

    __slots__ = ("_call", "_client", "_inbox", "_outbox", "_request", "_task")

    def __init__(
        self, client: Client, operation: AnyOperation, options: CallOptions, known: KnownErrors, request: Any = None
    ) -> None:
        self._client = client
        self._inbox: Pipe[Rep] = Pipe()
        self._outbox: Pipe[Req] = Pipe()
        self._request = Messages(self._outbox) if operation.client_streams else request
        self._call = client.new_call(operation, options, known, self._inbox.put)
        self._task: asyncio.Task[Rep | None] | None = None

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise RuntimeError("a stream is one call and can be entered once: call the method again for another")
        self._task = asyncio.create_task(self._run(), name=f"kratos {self._call.operation.name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = self._task
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> Rep | None:
        failure: BaseException | None = None
        try:
            return cast("Rep | None", await self._client.run_stream(self._request, self._call))
        except BaseException as raised:
            failure = raised
            if isinstance(raised, Error):
                return None  # The caller learns of it from the pipes; a task's exception nobody awaits is only noise.
            raise
        finally:
            ended = ClientClosed("the call was cancelled") if isinstance(failure, asyncio.CancelledError) else failure
            self._inbox.close(ended)
            self._outbox.close(ended)

    async def send(self, request: Req, /) -> None:
        await self._outbox.put(request)

    async def done(self) -> None:
        self._outbox.close()

    async def reply(self) -> Rep:
        self._outbox.close()
        async for _ in self._inbox:  # raises what the call failed with
            pass
        assert self._task is not None  # noqa: S101 - there is no stream outside of `async with`
        return cast("Rep", await self._task)

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[Rep]:
        return anext(self._inbox)
