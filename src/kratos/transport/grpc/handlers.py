"""From a call as grpcio brings it to dispatch and back: one handler per operation, whatever its kind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NoReturn, TypeAlias, cast

import grpc
import grpc.aio

from kratos.call import UNKNOWN_PEER, Call, Peer, Reply
from kratos.errors import ClientClosed, Error, ServiceUnavailable, Unimplemented
from kratos.handler import Messages, conceal
from kratos.metrics.calls import Refusals
from kratos.operation import AnyOperation
from kratos.resilience.intake import HandedOver
from kratos.transport.dispatch import Dispatcher, Endpoint
from kratos.transport.grpc.admission import Admission
from kratos.transport.grpc.credentials import identified
from kratos.transport.grpc.headers import Pair, from_grpc, peer_of, to_grpc
from kratos.transport.grpc.status import CODE_TRAILER, DETAILS_TRAILER, status_text, to_status
from kratos.transport.grpc.wire import Wire

__all__ = ["Handlers", "failed", "identified_peer", "stopping"]

CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

# How long grpcio may take to cancel the task of a client that has left, after its message could not be sent.
CANCEL_SECONDS: Final = 1.0
# A client that leaves looks like one that has sent all, until grpcio cancels the task a moment later: 3 ms at most
# among 10,000 on a busy machine. We wait for it, so that no handler takes half a stream for a whole one.
CANCEL_USUAL_SECONDS: Final = 0.005

_Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
_Answer: TypeAlias = Callable[[Any, _Context], Awaitable[Any]]


class Handlers:
    """The handlers of all methods, made when the server is built, and the calls that are under way in them.

    Args:
        dispatcher: What answers.
        admission: How many calls may be under way, and how large messages may be.
        compress_over: Smaller replies are never compressed; None if none are.
        which: The operations that are served here; all of them if not given.
        peer: Who is at the other end of a call; what grpcio says if not given.

    Attributes:
        methods: grpcio's handlers by the full name of their method.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        admission: Admission,
        *,
        compress_over: int | None = None,
        which: Callable[[AnyOperation], bool] | None = None,
        peer: Callable[[_Context], Peer] | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._refusals = Refusals(dispatcher.meter, "grpc")
        self._admission = admission
        self._compress_over = compress_over
        self._peer = peer or _peer
        self._running: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self._intake = HandedOver()
        self.methods: Mapping[str, Any] = {
            name: _method(endpoint.operation)(partial(self._serve, endpoint))
            for name, endpoint in dispatcher.endpoints.items()
            if which is None or which(endpoint.operation)
        }

    async def cancel(self, timeout: float) -> int:
        """Cancels every call under way; its client learns that the server is unavailable.

        Args:
            timeout: Seconds that handlers have to clean up.

        Returns:
            How many calls still run.
        """
        self._stopping = True
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(set(self._running), timeout=timeout)
        self._stopping = False
        return len(self._running)

    async def refuse(self, context: _Context) -> NoReturn:
        """Ends the call of a method that nobody serves."""
        error = Unimplemented("this server has no such method", reason="UNIMPLEMENTED")
        self._refusals.count(error)
        code, text, trailers = failed(error)
        await context.abort(CODES[code], text, tuple(trailers))

    async def _serve(self, endpoint: Endpoint, _: object, context: _Context) -> bytes | None:
        """Serves one call; returns the encoded reply, None where replies were streamed."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs has a task
        self._running.add(task)
        outlet = _Outlet(context, endpoint.operation, self._compress_over)
        admitted = False
        try:
            call = self._call(endpoint.operation, context, outlet)
            try:
                request = await _request(_Requests(context, self._admission), call, outlet.wire)
                admitted = self._admission.enter(endpoint, call)
                reply = await self._dispatcher.dispatch(endpoint, request, call)
                data = None if endpoint.operation.server_streams else outlet.packed(outlet.wire.answer(reply, call))
            except Error as error:
                await outlet.fail(error, call)
            except asyncio.CancelledError:
                if not self._stopping:
                    raise
                await outlet.fail(stopping(), call)
            await outlet.open()
            outlet.close()
        except grpc.aio.AbortError:
            raise  # How grpcio ends a call that has failed.
        except grpc.aio.BaseError:
            # The client left while we answered. grpcio logs a traceback of anything but this.
            raise asyncio.CancelledError from None
        finally:
            self._running.discard(task)
            if admitted:
                self._admission.leave()
        return data

    def _call(self, operation: AnyOperation, context: _Context, outlet: _Outlet) -> Call:
        call = Call(
            operation,
            kind="grpc",
            side="server",
            peer=self._peer(context),
            headers=from_grpc(cast("Sequence[Pair] | None", context.invocation_metadata())),
            reply=outlet.reply,
            app=self._dispatcher.app,
            sink=outlet.send if operation.server_streams else None,
        )
        # grpcio tells of no earlier moment, but knows the client's deadline since the headers came.
        call.arrived = now = asyncio.get_running_loop().time()
        self._intake.came(now)
        call.intake = self._intake.settled
        remaining = cast("float | None", context.time_remaining())  # the stubs do not know None
        if remaining is not None:
            call.shorten(remaining, "client")
        return call


class _Outlet:
    """What goes back to the client: headers once, then messages, then trailers or an error.

    Attributes:
        reply: Headers and trailers.
        wire: How messages are written.
    """

    __slots__ = ("_compress_over", "_context", "_opened", "reply", "wire")

    def __init__(self, context: _Context, operation: AnyOperation, compress_over: int | None) -> None:
        self._compress_over = compress_over
        self._context = context
        self._opened = False
        self.wire = Wire(operation)
        self.reply = Reply()

    async def send(self, message: Any) -> None:
        """Sends one streamed reply; waits while the client is slower."""
        data = self.packed(self.wire.write(message))
        try:
            await self.open()
            await self._context.write(data)
        except grpc.aio.BaseError:
            await asyncio.sleep(CANCEL_SECONDS)  # Cancelled here, so that a client's leaving always looks the same.
            raise ClientClosed("the client has left", reason="CLIENT_CLOSED") from None

    def packed(self, data: bytes) -> bytes:
        """Returns the next message to send, of which grpcio is told if it is too small to be compressed."""
        if self._compress_over is not None and len(data) <= self._compress_over:
            self._context.disable_next_message_compression()
        return data

    async def open(self) -> None:
        """Sends the headers, the first time it is called."""
        if not self._opened:
            self._opened = True
            headers = self.reply.header_pairs()
            if headers:
                await self._context.send_initial_metadata(to_grpc(headers))

    def close(self) -> None:
        """Says which trailers follow the last message."""
        trailers = self.reply.trailer_pairs()
        if trailers:
            self._context.set_trailing_metadata(to_grpc(trailers))

    async def fail(self, error: Error, call: Call) -> NoReturn:
        """Ends the call with an error.

        Raises:
            grpc.aio.AbortError: Always; it must reach grpcio.
        """
        code, text, trailers = failed(error, call)
        await self.open()
        await self._context.abort(CODES[code], text, tuple(trailers))


def stopping() -> Error:
    """Returns the error of a call that the server has no time left to finish, or to begin."""
    return ServiceUnavailable("the server is stopping", reason="SERVER_STOPPING")


def failed(error: Error, call: Call | None = None) -> tuple[int, str, list[Pair]]:
    """Returns how a call ends with an error: the code, the message and the trailers.

    Args:
        error: The error; one whose details cannot be written is concealed.
        call: The call, whose trailers go along.
    """
    try:
        status = to_status(error).to_binary()
    except Exception as failure:
        if call is None:
            raise
        error = conceal(failure, call)
        status = to_status(error).to_binary()
    trailers = [] if call is None else list(to_grpc(call.reply.trailer_pairs()))
    return (
        error.grpc_code,
        status_text(error),
        [*trailers, (CODE_TRAILER, str(error.status)), (DETAILS_TRAILER, status)],
    )


class _Requests:
    """The streamed requests of one call as bytes; read from the wire when asked for, none ahead."""

    __slots__ = ("_admission", "_context", "_ended")

    def __init__(self, context: _Context, admission: Admission) -> None:
        self._admission = admission
        self._context = context
        self._ended = False

    def __aiter__(self) -> _Requests:
        return self

    async def __anext__(self) -> bytes:
        if self._ended:
            raise StopAsyncIteration
        try:
            data: Any = await self._context.read()
        except grpc.aio.BaseError:
            raise ClientClosed("this call is over", reason="CLIENT_CLOSED") from None
        if isinstance(data, bytes):
            return self._admission.sized(data)
        self._ended = True
        await asyncio.sleep(CANCEL_USUAL_SECONDS)
        raise StopAsyncIteration


async def _request(requests: _Requests, call: Call, wire: Wire) -> Any:
    """Returns what the chain gets: the message, or the stream of them."""
    if call.operation.client_streams:
        return Messages(requests).map(wire.read)
    try:
        return wire.read(await anext(requests))
    except StopAsyncIteration:
        call.rejected = Unimplemented(f"{call.operation.name} takes one message, and none came", reason="NO_REQUEST")
        return call.operation.request()
    except Error as rejected:
        call.rejected = rejected
        return call.operation.request()


def _peer(context: _Context) -> Peer:
    try:
        return peer_of(context.peer())
    except ValueError:  # grpcio issue 25400: now and then an address that is no text
        return UNKNOWN_PEER


def identified_peer(context: _Context) -> Peer:
    """Returns who makes a call, with the certificate that grpcio has verified."""
    return identified(_peer(context), context.auth_context())


def _method(operation: AnyOperation) -> Callable[[_Answer], Any]:
    """Returns what makes grpcio's handler of a coroutine function, which for every kind leaves flow control to us.

    Every request is a stream to grpcio: where it reads the one message itself and none comes, it never answers.
    """
    return grpc.stream_stream_rpc_method_handler if operation.server_streams else grpc.stream_unary_rpc_method_handler
