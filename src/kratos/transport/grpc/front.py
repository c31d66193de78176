"""The calls of the native engine: from its events to dispatch, and what goes back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from kratos.call import Call
from kratos.errors import ClientClosed, Error
from kratos.handler import conceal
from kratos.transport.dispatch import Dispatcher, Endpoint
from kratos.transport.grpc.admission import Admission
from kratos.transport.grpc.backlog import Backlog, Outflow
from kratos.transport.grpc.engine import CLEANUP_SECONDS
from kratos.transport.grpc.handlers import CANCEL_SECONDS, failed, stopping
from kratos.transport.grpc.headers import Pair, from_grpc, peer_of, to_grpc
from kratos.transport.grpc.nativelib import Details, Event, Front, Native
from kratos.transport.grpc.wire import Wire

__all__ = ["Calls"]

# A front that closes drops what it has not written yet. It says when it has handed on a reply, and not when that has
# left the machine.
_LOOK_SECONDS: Final = 0.01
_FLUSH_SECONDS: Final = 0.05


class Calls:
    """The calls of one front, from its start to its end. Used in the event loop only.

    Args:
        front: Where they come from.
        native: Its module.
        dispatcher: What answers.
        endpoints: What is served, in the order in which the front knows it.
        admission: How many calls may be under way, and how large messages may be.
    """

    def __init__(
        self,
        front: Front,
        native: Native,
        dispatcher: Dispatcher,
        endpoints: Sequence[Endpoint],
        *,
        admission: Admission,
    ) -> None:
        self._front = front
        self._native = native
        self._dispatcher = dispatcher
        self._endpoints = endpoints
        self._admission = admission
        self._backlog = Backlog(front.stream_try_send, native.STREAM_FULL)
        self._stopping = False
        # Those whose clients wait, and those that are being cancelled because theirs have left.
        self._running: dict[int, asyncio.Task[None]] = {}
        self._left: set[asyncio.Task[None]] = set()

    def take(self, events: Sequence[Event]) -> None:
        """Begins the calls that have come in, and cancels those whose clients have left."""
        loop = asyncio.get_running_loop()
        create_task, now = loop.create_task, loop.time()
        for kind, call_id, method, payload, _, details in events:
            if kind != self._native.EVENT_CALL or payload is None or details is None:
                self._leave(call_id)
            elif self._stopping:
                self._front.fail(call_id, *failed(stopping()))
            else:
                work = self._serve(call_id, self._endpoints[method], payload, details, now)
                self._running[call_id] = create_task(work)

    def _leave(self, call_id: int) -> None:
        # Not only in the call's own task: one that is cancelled before it begins never gets to tidy up.
        task = self._running.pop(call_id, None)
        if task is not None:
            self._left.add(task)
            task.add_done_callback(self._left.discard)
            task.cancel()

    async def drain(self, timeout: float | None) -> int:
        """Refuses new calls and waits for those under way; cancels what is not done after ``timeout`` seconds.

        Returns:
            How many calls still run, though they were cancelled.
        """
        self._stopping = True
        if not await self._ended(timeout):
            for task in self._running.values():
                task.cancel()
            await self._ended(CLEANUP_SECONDS)
        return len(self._unfinished())

    async def flush(self) -> None:
        """Waits a while until replies have left."""
        loop = asyncio.get_running_loop()
        end = loop.time() + CLEANUP_SECONDS
        while self._unsent() and loop.time() < end:  # noqa: ASYNC110 - the front tells nobody
            await asyncio.sleep(_LOOK_SECONDS)
        await asyncio.sleep(_FLUSH_SECONDS)

    async def _ended(self, timeout: float | None) -> bool:
        tasks = self._unfinished()
        return not tasks or not (await asyncio.wait(tasks, timeout=timeout))[1]

    def _unfinished(self) -> list[asyncio.Task[None]]:
        return [task for task in (*self._running.values(), *self._left) if not task.done()]

    def _unsent(self) -> int:
        """Returns how many calls have come in whose end the front has not written yet."""
        counted = (self._front.metrics() or {"methods": {}})["methods"].values()
        return sum(one["started"] - sum(end["count"] for end in one["status"].values()) for one in counted)

    async def _serve(self, call_id: int, endpoint: Endpoint, payload: bytes, details: Details, now: float) -> None:
        """Serves one call, to its end on the wire.

        Args:
            call_id: Which one.
            endpoint: What it is for.
            payload: The request.
            details: What else the front says of it.
            now: When it said so.
        """
        operation = endpoint.operation
        wire = Wire(operation)
        pairs, peer, remaining = details
        outlet = (
            _Outlet(call_id, self._front, wire, Outflow(call_id, self._backlog), self._native.STREAM_CLOSED)
            if operation.server_streams
            else None
        )
        call = Call(
            operation,
            kind="grpc",
            side="server",
            peer=peer_of(peer),
            headers=from_grpc(pairs),
            app=self._dispatcher.app,
            sink=None if outlet is None else outlet.send,
        )
        if outlet is not None:
            outlet.call = call
        call.arrived = now
        if remaining is not None:  # since the front has had the call, whatever time it has waited there
            call.shorten(remaining, "client", since=now)
        request = self._read(call, payload, wire)
        admitted = self._admission.enter(endpoint, call)
        try:
            reply = await self._dispatcher.dispatch(endpoint, request, call)
            if outlet is not None:
                outlet.close()
            else:
                data = wire.answer(reply, call)
                said = call.reply
                self._front.respond(call_id, data, _sent(said.header_pairs()), _sent(said.trailer_pairs()))
        except Error as error:
            self._fail(call_id, error, call, outlet)
        except asyncio.CancelledError:
            if call_id in self._running:  # it is we who end it
                self._fail(call_id, stopping(), call, outlet)
        except Exception as failure:  # a mistake of ours, and no reason to let the client wait
            self._fail(call_id, conceal(failure, call), call, outlet)
        finally:
            self._running.pop(call_id, None)
            if admitted:
                self._admission.leave()

    def _read(self, call: Call, payload: bytes, wire: Wire) -> Any:
        """Returns the request message; an empty one, with the reason in ``call.rejected``, if it cannot be read."""
        try:
            return wire.read(self._admission.sized(payload))
        except Error as rejected:
            call.rejected = rejected
            return call.operation.request()

    def _fail(self, call_id: int, error: Error, call: Call, outlet: _Outlet | None) -> None:
        code, text, trailers = failed(error, call)
        if outlet is not None:
            outlet.open()
        else:
            # The front sends no headers before a failure: they go with the trailers, where clients find them as well.
            trailers = [*to_grpc(call.reply.header_pairs()), *trailers]
        self._front.fail(call_id, code, text, trailers)


class _Outlet:
    """The streamed replies of one call on their way to the client.

    Attributes:
        call: The call.
    """

    __slots__ = ("_call_id", "_closed", "_front", "_opened", "_outflow", "_wire", "call")

    call: Call

    def __init__(self, call_id: int, front: Front, wire: Wire, outflow: Outflow, closed: int) -> None:
        self._call_id = call_id
        self._front = front
        self._wire = wire
        self._outflow = outflow
        self._closed = closed
        self._opened = False

    async def send(self, message: Any) -> None:
        """Sends one reply; waits while the client is slower.

        Raises:
            ClientClosed: The client has left; usually the call is cancelled before.
        """
        data = self._wire.write(message)
        self.open()
        if await self._outflow.send(data) == self._closed:
            await asyncio.sleep(CANCEL_SECONDS)  # cancelled here: a client's leaving always looks the same
            raise ClientClosed("the client has left", reason="CLIENT_CLOSED")

    def open(self) -> None:
        """Sends the headers, the first time it is called."""
        if not self._opened:
            self._opened = True
            headers = _sent(self.call.reply.header_pairs())
            if headers:
                self._front.stream_send_initial_metadata(self._call_id, headers)

    def close(self) -> None:
        """Ends the stream well."""
        self.open()
        self._front.stream_end(self._call_id, _sent(self.call.reply.trailer_pairs()))


def _sent(pairs: Sequence[tuple[str, str]]) -> Sequence[Pair] | None:
    """Returns headers or trailers as the front takes them; None for none."""
    return to_grpc(pairs) if pairs else None
