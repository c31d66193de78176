"""The native engine: HTTP/2 and gRPC framing run in Rust (pygrpc-native), outside of Python's lock.

Unary calls and streamed replies are answered straight from its events, by its documented low-level interface. Streamed
requests are handed on to a server of grpcio behind it, on a Unix socket, and are as fast as there.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kratos.call import UNKNOWN_PEER, Peer
from kratos.live import Live
from kratos.transport.dispatch import Dispatcher, Endpoint
from kratos.transport.grpc.admission import Admission
from kratos.transport.grpc.engine import CLEANUP_SECONDS, GrpcioEngine, target
from kratos.transport.grpc.front import Calls
from kratos.transport.grpc.handlers import Handlers
from kratos.transport.grpc.nativelib import Event, Front, load
from kratos.transport.grpc.options import DEFAULT_KEEPALIVE, KeepAlive, Limits, server_options
from kratos.transport.listen import Address, claim, listen, permit
from kratos.transport.tls import TLS

__all__ = ["NativeEngine", "unserved"]

logger = logging.getLogger("kratos.grpc")

_BATCH: Final = 64
"""The most events that are handed to the event loop at once."""
_ALIVE_SECONDS: Final = 5.0
"""How often the thread looks whether the event loop is still there."""


def unserved(keepalive: KeepAlive, tls: TLS | None, compress_over: int | None) -> list[str]:
    """Returns the names of options that this engine cannot honour."""
    names = ("max_idle", "max_age", "grace", "tolerate")
    refused = [f"keepalive.{name}" for name in names if getattr(keepalive, name) != getattr(DEFAULT_KEEPALIVE, name)]
    return [*refused, *(["tls"] if tls else []), *([] if compress_over is None else ["compress_over"])]


class NativeEngine:
    """A server in Rust, with our handlers in Python.

    Args:
        dispatcher: What answers.
        limits: What a client may ask at most; what the front is told stays as it is now.
        keepalive: How dead connections are found.

    Raises:
        ImportError: pygrpc-native is not installed; the message says how to install it.
    """

    def __init__(self, dispatcher: Dispatcher, limits: Live[Limits], keepalive: KeepAlive) -> None:
        self._native = load()
        self._dispatcher = dispatcher
        self._limits = limits
        self._keepalive = keepalive
        self._admission = Admission(limits)
        self._peer = UNKNOWN_PEER
        self._running: _Running | None = None
        self._behind = GrpcioEngine(
            Handlers(
                dispatcher,
                self._admission,
                which=lambda operation: operation.client_streams,
                peer=lambda _: self._peer,
            ),
            server_options(limits.value, keepalive),
        )

    async def start(self, address: Address) -> Address:
        """Listens; see ``Engine.start``."""
        endpoints = [each for each in self._dispatcher.endpoints.values() if not each.operation.client_streams]
        # Of calls that are handed on, grpcio knows our socket as the peer. Over TCP nobody tells who it is.
        self._peer = Peer("unix:") if address.path else UNKNOWN_PEER
        front = self._bound(address, endpoints)
        folder = Path(tempfile.mkdtemp(prefix="kratos-"))  # nobody else can look into it
        try:
            behind = str(folder / "grpc.sock")
            await self._behind.start(Address(path=behind))
            front.set_fallback(behind)
            front.start()
            calls = Calls(front, self._native, self._dispatcher, endpoints, admission=self._admission)
            self._running = _Running(front, calls, folder)
        except BaseException:
            await self._behind.stop(0)
            front.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return address if address.path else Address(address.host, front.bound_port)

    def _bound(self, address: Address, endpoints: list[Endpoint]) -> Front:
        claim(address)  # the front takes the place of whoever serves there, without a word
        try:
            front = self._native.NativeGrpcFront(
                target(address),
                [(each.operation.name, each.operation.server_streams) for each in endpoints],
                # One thread feeds more than one interpreter can take; of two, each wakes the other up (measured: 75 us
                # of CPU a call with all middleware, instead of 87).
                io_threads=1,
                call_details=True,
                delay_stream_headers=True,
                metrics=True,
                keepalive_time_ms=round(self._keepalive.every * 1000),
                keepalive_timeout_ms=round(self._keepalive.timeout * 1000),
                max_concurrent_streams=self._limits.value.max_streams,
                max_metadata_size=self._limits.value.max_metadata,
            )
        except OSError:
            listen(address).close()  # says more of why it failed
            raise
        permit(address)
        return front

    async def stop(self, timeout: float | None) -> None:
        """Ends what is under way; see ``Engine.stop``."""
        running, self._running = self._running, None
        if running is None:
            return
        behind = asyncio.create_task(self._behind.stop(timeout), name="kratos grpc closing")
        left = await running.calls.drain(timeout)
        await behind
        await running.calls.flush()
        await asyncio.to_thread(running.close)
        if left:
            logger.warning("%d calls did not end though they were cancelled %g s ago", left, CLEANUP_SECONDS)


class _Running:
    """A front that has started, and its events on their way to the event loop.

    A thread waits for the first event and hands over; the loop itself looks for more as long as there are any, and
    hands back. So under load no thread has to be woken up. (Measured: 22 us of CPU a call instead of 28, with a handler
    that does nothing.)
    """

    def __init__(self, front: Front, calls: Calls, folder: Path) -> None:
        self.calls = calls
        self._front = front
        self._folder = folder
        # What was set when the server started is seen by its calls, as with grpcio.
        self._context = contextvars.copy_context()
        self._loop = asyncio.get_running_loop()
        self._turn = threading.Lock()  # free for a moment, when the loop hands back to the thread
        self._turn.acquire()
        self._thread = threading.Thread(target=self._wait, name="kratos grpc native", daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        while (events := self._front.recv_batch_details(_BATCH)) is not None:
            try:
                self._loop.call_soon_threadsafe(self._take, events, context=self._context)
            except RuntimeError:
                break
            while not self._turn.acquire(timeout=_ALIVE_SECONDS):
                if self._loop.is_closed():
                    break
        self._front.close()  # Already so, unless the loop has ended without a stop().

    def _take(self, events: Sequence[Event]) -> None:
        try:
            self.calls.take(events)
        finally:
            self._loop.call_soon(self._look, context=self._context)

    def _look(self) -> None:
        events = self._front.recv_batch_details(_BATCH, 0)
        if events:
            self._take(events)
        else:
            self._turn.release()

    def close(self) -> None:
        """Ends connections and the thread; blocks for a moment, and not in the event loop."""
        self._front.close()
        self._thread.join()
        shutil.rmtree(self._folder, ignore_errors=True)
