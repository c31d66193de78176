"""A channel in memory: real chains, real codecs, real tasks, and no socket."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterable
from typing import Any

from kratos.call import Call, Peer
from kratos.codec.base import Codec
from kratos.errors import Error, ServiceUnavailable, Unimplemented, restore
from kratos.handler import Messages
from kratos.operation import AnyOperation
from kratos.transport.dispatch import Dispatcher, Endpoint
from kratos.transport.pipe import Pipe

__all__ = ["MemoryChannel"]


class MemoryChannel:
    """A channel to a dispatcher in the same process.

    Args:
        dispatcher: What answers.
        codec: How messages cross.
    """

    kind = "memory"

    def __init__(self, dispatcher: Dispatcher, codec: Codec) -> None:
        self.peer = Peer("memory")
        self._dispatcher = dispatcher
        self._codec = codec
        # A server's tasks do not inherit the context of whoever calls, and ours do not either.
        self._context = contextvars.copy_context()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def unary(self, request: Any, call: Call) -> Any:
        """Sends one request and returns the reply; see ``Channel``. In memory a stream takes the same way."""
        if self._closed:
            raise ServiceUnavailable("this connection is closed", reason="CONNECTION_CLOSED")
        endpoint = self._dispatcher.endpoints.get(call.operation.name)
        if endpoint is None:
            raise Unimplemented(f"nobody serves {call.operation.name}", reason="UNIMPLEMENTED")
        replies: Pipe[bytes] = Pipe()
        task = asyncio.create_task(
            self._answer(endpoint, self._outgoing(request, call), call, replies), context=self._context.copy()
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            async for data in replies:
                await call.stream_reply(self._codec.decode(data, call.operation.reply))
            answer = await task
        except Error as error:
            raise restore(
                error.status,
                error.reason,
                error.message,
                error.metadata,
                details=error.details,
                known=call.known,
                grpc=error.grpc_code,
                retry_after=error.retry_after,
            ) from error
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
        return None if answer is None else self._codec.decode(answer, call.operation.reply)

    async def stream(self, request: Any, call: Call) -> Any:
        """Carries one streaming call; see ``Channel``."""
        return await self.unary(request, call)

    async def aclose(self) -> None:
        """Cancels the calls under way and waits for them."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _outgoing(self, request: Any, call: Call) -> bytes | AsyncIterable[bytes]:
        if call.operation.client_streams:
            streamed: Messages[Any] = request
            return streamed.map(self._codec.encode)
        return self._codec.encode(request)

    async def _answer(
        self, endpoint: Endpoint, wire: bytes | AsyncIterable[bytes], client: Call, replies: Pipe[bytes]
    ) -> bytes | None:
        """Plays the server: one call, from its bytes to its bytes."""

        async def sink(reply: Any) -> None:
            await replies.put(self._codec.encode(reply))

        call = Call(
            endpoint.operation,
            kind=self.kind,
            side="server",
            peer=self.peer,
            headers=client.headers.copy(),
            reply=client.reply,
            app=self._dispatcher.app,
            sink=sink,
        )
        remaining = client.remaining()
        if remaining is not None:
            call.shorten(remaining, "client")
        try:
            reply = await self._dispatcher.dispatch(endpoint, self._incoming(wire, call), call)
            return None if reply is None else self._codec.encode(reply)
        finally:
            replies.close()

    def _incoming(self, wire: bytes | AsyncIterable[bytes], call: Call) -> Any:
        operation: AnyOperation = call.operation
        if not isinstance(wire, bytes):
            return Messages(wire).map(lambda data: self._codec.decode(data, operation.request))
        try:
            return self._codec.decode(wire, operation.request)
        except Error as error:
            call.rejected = error
            return operation.request()
