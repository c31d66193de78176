"""The client channel on grpcio's asyncio API: one connection to one address."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Awaitable, Coroutine
from typing import Any, Final, TypeAlias, TypeVar, cast

import grpc
import grpc.aio

from kratos.call import Call, Peer
from kratos.errors import ClientClosed, Error, InternalServer, Unimplemented
from kratos.handler import Messages
from kratos.operation import AnyOperation
from kratos.transport.channel import HURRIED, Unreached, hurry
from kratos.transport.deadline import MOST_SECONDS, expired
from kratos.transport.grpc.connecting import Connecting
from kratos.transport.grpc.failures import closed, connection_error
from kratos.transport.grpc.headers import from_grpc, to_grpc
from kratos.transport.grpc.options import DEFAULT_LIMITS, KeepAlive, Limits, channel_options
from kratos.transport.grpc.status import DETAILS_TRAILER, from_status
from kratos.transport.grpc.wire import BINARY

__all__ = ["GRPCChannel"]

# Where grpcio makes channels. What it offers as grpc.aio.insecure_channel is replaced by instrumentations, whose
# interceptors wait for the end of a call before its first request is sent: tracing() is what sees our calls.
_aio: Final[Any] = importlib.import_module("grpc.aio._channel")

_REACHED: Final = (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.IDLE)

# The private part of grpcio's call objects that messages are sent by.
INNER: Final = "_cython_call"

# grpcio's clock and the event loop's do not strike at the same moment.
DEADLINE_SLACK_SECONDS: Final = 0.1

T = TypeVar("T")

_Rpc: TypeAlias = Any  # grpcio's call object: four classes without a common type for what we use of them
_Method: TypeAlias = Any  # what makes it


class GRPCChannel:
    """A gRPC connection to one address, opened when first used. Belongs to the event loop it is first used in.

    Args:
        address: ``host:port``, or any other target that grpcio knows, such as ``unix:/run/app.sock``.
        limits: What a server may send at most.
        keepalive: Pings that find out whether a silent peer is still there, while calls are under way. None by
            default, because servers of other makes may close the connections of clients that ping.
        credentials: How to trust the server, and who we are; None is no TLS.
        authority: What the server is called, in ``:authority`` and for its certificate; the address if empty.
        compress_over: Requests of more bytes are compressed (gzip), and streamed ones of any size; None is never.
    """

    kind = "grpc"

    def __init__(
        self,
        address: str,
        *,
        limits: Limits = DEFAULT_LIMITS,
        keepalive: KeepAlive | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        authority: str = "",
        compress_over: int | None = None,
    ) -> None:
        self.peer = Peer(address)
        self._options = channel_options(limits, keepalive, authority)
        self._credentials = credentials
        self._compress_over = compress_over
        self._channel: grpc.aio.Channel | None = None
        self._connecting: Connecting | None = None
        self._methods: dict[AnyOperation, _Method] = {}
        # Where somebody asks for the headers of a stream of replies, its one request is a stream to grpcio as well: it
        # loses them otherwise, if it hears first that the stream has ended without a message. (Measured: 80 us of CPU a
        # stream, which nobody else need pay.)
        self._asking: dict[AnyOperation, _Method] = {}
        self._rpcs: set[_Rpc] = set()
        self._closed = False

    # Plain def, here and below: they leave no frame between the client and the exchange.
    def unary(self, request: Any, call: Call) -> Awaitable[Any]:
        """Sends one request and returns the reply; see ``Channel``.

        Raises:
            Error: As in ``Channel``. ``ServiceUnavailable`` with the reason CONNECTION_FAILED if the address could
                not be reached, CONNECTION_LOST if that ended under the call, CONNECTION_CLOSED after ``aclose``.
            TypeError: The request is no message.
        """
        return self._unary(BINARY.encode(request), call)

    def stream(self, request: Any, call: Call) -> Awaitable[Any]:
        """Carries one streaming call; see ``Channel`` and ``unary``."""
        if call.operation.client_streams:
            return self._exchange(None, request, call)
        return self._exchange(BINARY.encode(request), None, call)

    async def aclose(self) -> None:
        """Closes the connection; calls under way fail. Calling it again does nothing."""
        self._closed = True
        for rpc in list(self._rpcs):
            rpc.cancel()
        channel, self._channel = self._channel, None
        connecting, self._connecting = self._connecting, None
        self._methods.clear()
        self._asking.clear()
        if connecting is not None:
            await connecting.aclose()
        if channel is not None:
            await channel.close()

    async def _unary(self, data: bytes, call: Call) -> Any:
        """Carries one unary call; whoever awaits an RPC and is cancelled has cancelled it."""
        if call.state.get(HURRIED) and not self._ready():
            await self._hurry(call)
        rpc = self._start(data, call)
        cancelling = _cancelling()
        self._rpcs.add(rpc)
        try:
            data = await rpc
        except grpc.aio.AioRpcError as failure:
            raise self._error(failure, call, rpc) from failure
        except asyncio.CancelledError:
            if _cancelling() > cancelling:
                raise
            raise self._reason(None) from None  # aclose()
        finally:
            self._rpcs.discard(rpc)
        # Neither awaited nor converted before somebody asks: 9 us of a call that takes 100.
        call.reply.received(
            headers=lambda: from_grpc(_settled(rpc.initial_metadata())),
            trailers=lambda: from_grpc(_settled(rpc.trailing_metadata())),
        )
        return _decoded(data, call.operation)

    async def _exchange(self, data: bytes | None, requests: Messages[Any] | None, call: Call) -> Any:
        """Carries one streaming call from start to end; leaves nothing behind, however it ends."""
        asking = data is not None and "reply" in call.options
        if call.state.get(HURRIED) and not self._ready():
            await self._hurry(call)
        rpc = self._start(data, call, asking=asking)
        cancelling = _cancelling()
        sender = None if requests is None else _Sender(rpc, requests)
        self._rpcs.add(rpc)
        try:
            if asking and data is not None:
                await _ask(rpc, data)
            return await _receive(rpc, call)
        except grpc.aio.AioRpcError as failure:
            raise self._error(failure, call, rpc) from failure
        except asyncio.CancelledError:
            if _cancelling() > cancelling:
                raise
            # Not the caller: the call was cancelled by what feeds it, or by aclose().
            raise self._reason(sender) from None
        finally:
            self._rpcs.discard(rpc)
            rpc.cancel()  # does nothing to a call that is over
            if sender is not None:
                await sender.aclose()

    async def _hurry(self, call: Call) -> None:
        """Waits for the connection, and not for long: grpcio would keep the call as long as one attempt may take."""
        if self._closed:
            raise closed(self.peer.address)
        if self._connecting is None:
            self._connecting = Connecting(self._opened())
        seconds = hurry(call)
        if seconds is not None and not await self._connecting.settled(seconds):
            raise Unreached(f"cannot connect to {self.peer.address}: no answer in time")

    def _start(self, data: bytes | None, call: Call, *, asking: bool = False) -> _Rpc:
        if self._closed:
            raise closed(self.peer.address)
        remaining = call.remaining()
        if remaining == 0.0:
            raise expired(call)
        methods = self._asking if asking else self._methods
        method = methods.get(call.operation) or self._method(call.operation, asking=asking)
        return method(
            None if asking else data,
            timeout=None if remaining is None else _as_sent(remaining),
            metadata=to_grpc(call.headers.items()) if call.headers else None,
            wait_for_ready=call.options.get("wait_for_ready") and not call.state.get(HURRIED),
            compression=self._compression(data),
        )

    def _compression(self, data: bytes | None) -> grpc.Compression | None:
        if self._compress_over is None or (data is not None and len(data) <= self._compress_over):
            return None
        return grpc.Compression.Gzip

    def _method(self, operation: AnyOperation, *, asking: bool) -> _Method:
        channel = self._opened()
        makers: dict[tuple[bool, bool], Any] = {
            (False, False): channel.unary_unary,
            (False, True): channel.unary_stream,
            (True, False): channel.stream_unary,
            (True, True): channel.stream_stream,
        }
        method = makers[operation.client_streams or asking, operation.server_streams](operation.name)
        methods = self._asking if asking else self._methods
        methods[operation] = method
        return method

    def _opened(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._channel = self._open()
        return self._channel

    def _open(self) -> grpc.aio.Channel:
        address, options, credentials = self.peer.address, self._options, self._credentials
        plain = credentials is None
        made = _aio.insecure_channel(address, options) if plain else _aio.secure_channel(address, credentials, options)
        return cast("grpc.aio.Channel", made)

    def _error(self, failure: grpc.aio.AioRpcError, call: Call, rpc: _Rpc) -> Error:
        """Returns what a failed RPC means, and notes the headers and trailers that came with it."""
        code, message = failure.code(), failure.details() or ""
        trailers = from_grpc(failure.trailing_metadata())
        call.reply.received(headers=from_grpc(failure.initial_metadata()), trailers=trailers)
        if DETAILS_TRAILER not in trailers:
            if _is_over(rpc) and (code is grpc.StatusCode.DEADLINE_EXCEEDED or _is_reset(code, message)):
                return expired(call)
            if code is grpc.StatusCode.UNAVAILABLE:
                lost = connection_error(message, self.peer.address, tls=self._credentials is not None)
                if lost is not None and not (isinstance(lost, Unreached) and self._reached()):
                    return lost
        return from_status(code.value[0], message, trailers, call.known)

    def _ready(self) -> bool:
        channel = self._channel
        return channel is not None and channel.get_state() is grpc.ChannelConnectivity.READY

    def _reached(self) -> bool:
        """Tells whether there is a connection: then what sounds like there is none is what the peer passes on."""
        channel = self._channel
        return channel is not None and channel.get_state() in _REACHED

    def _reason(self, sender: _Sender | None) -> BaseException:
        if self._closed:
            return closed(self.peer.address)
        if sender is not None and sender.failure is not None:
            return sender.failure
        return ClientClosed("the requests of this call were cancelled", reason="CANCELLED")


class _Sender:
    """The streamed requests of one call, on their way in a task of their own."""

    __slots__ = ("_requests", "_rpc", "_task", "failure")

    def __init__(self, rpc: _Rpc, requests: Messages[Any]) -> None:
        self._rpc = rpc
        self._requests = requests
        self.failure: Exception | None = None
        self._task = asyncio.create_task(self._run(), name="kratos grpc requests")

    async def aclose(self) -> None:
        """Stops sending and waits for it."""
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            # No message is taken before there is a connection: the call may go elsewhere if there never is one.
            if not await self._connected():
                return
            async for message in self._requests:
                if not await _send(self._rpc, BINARY.encode(message)):
                    return
            with contextlib.suppress(grpc.aio.BaseError):
                await self._rpc.done_writing()
        except asyncio.CancelledError:
            self._rpc.cancel()
            raise
        except Exception as failure:
            self.failure = failure
            self._rpc.cancel()  # ends the receiving side, which asks why

    async def _connected(self) -> bool:
        """Waits for the connection; tells whether there is one."""
        try:
            await self._rpc.wait_for_connection()
        except (grpc.aio.AioRpcError, grpc.aio.BaseError):
            return False
        return True


async def _ask(rpc: _Rpc, data: bytes) -> None:
    """Sends the only request of a call that grpcio takes for a stream of requests.

    Raises:
        grpc.aio.AioRpcError: There is no connection.
    """
    await rpc.wait_for_connection()
    if await _send(rpc, data):
        with contextlib.suppress(grpc.aio.BaseError):
            await rpc.done_writing()


async def _send(rpc: _Rpc, data: bytes) -> bool:
    """Sends one message; tells whether the call goes on. The receiving side tells how it ended."""
    # write() only where there is no other way: if the peer has ended the call meanwhile, it replaces the status by
    # INTERNAL.
    inner = getattr(rpc, INNER, None)
    send = getattr(inner, "send_serialized_message", rpc.write)
    try:
        await send(data)
    except (grpc.aio.AioRpcError, grpc.aio.BaseError, asyncio.InvalidStateError):
        return False
    return True


def _cancelling() -> int:
    """Returns how often the current task has been asked to stop."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine that runs has a task
    return task.cancelling()


def _settled(answer: Coroutine[Any, Any, T]) -> T:
    """Returns what an RPC that is over knows; grpcio has coroutines for it, which need not wait any more."""
    try:
        answer.send(None)
    except StopIteration as known:
        return cast("T", known.value)
    raise RuntimeError("the RPC is not over")


def _is_over(rpc: _Rpc) -> bool:
    remaining: float | None = rpc.time_remaining()
    return remaining is not None and remaining < DEADLINE_SLACK_SECONDS


def _is_reset(code: grpc.StatusCode, message: str) -> bool:
    """Tells whether a server has cancelled the stream without a status, as it does when time is up by its own clock."""
    return code is grpc.StatusCode.CANCELLED and "RST_STREAM" in message


def _as_sent(seconds: float) -> float:
    """Returns a time that grpcio does not send as more than is left.

    It adds a millisecond and rounds up to three digits, or two: of 1 s the next hop would have 1.01 s.
    """
    milliseconds = int(min(seconds, MOST_SECONDS) * 1000 + 1e-6)
    milliseconds -= milliseconds % int(10 ** max(0, len(str(milliseconds)) - 3))
    return max(milliseconds - 1, 0.1) / 1000


async def _receive(rpc: _Rpc, call: Call) -> Any:
    """Takes in headers, replies and trailers; returns the reply, None where replies are streamed."""
    operation = call.operation
    if not operation.server_streams:
        reply = _decoded(await rpc, operation)
        call.reply.received(headers=from_grpc(await rpc.initial_metadata()))
    else:
        reply = None
        call.reply.received(headers=from_grpc(await rpc.initial_metadata()))
        replies = aiter(rpc)
        try:
            async for data in replies:
                await call.stream_reply(_decoded(data, operation))
        finally:
            await cast("Awaitable[None]", replies.aclose())
    call.reply.received(trailers=from_grpc(await rpc.trailing_metadata()))
    return reply


def _decoded(data: bytes | None, operation: AnyOperation) -> Any:
    if data is None:  # grpcio's word for a call that ended well without its reply; gRPC's document names the code
        raise Unimplemented(f"{operation.name} ended well and without its reply", reason="NO_REPLY")
    try:
        return BINARY.decode(data, operation.reply)
    except Error as failure:
        what = f"the reply of {operation.name} is unreadable: {failure.message}"
        raise InternalServer(what, reason="CODEC") from None
