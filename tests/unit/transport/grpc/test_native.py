"""What only the native engine has: its start, its limits, clients that read slowly, calls that end as they begin."""

from __future__ import annotations

import asyncio
import contextvars
import os
import resource
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import grpc
import grpc.aio
import pytest
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Counting, Kinds
from unit.transport.grpc.conftest import NATIVE
from unit.transport.grpc.rig import PREFIX, until

from kratos.call import AppInfo, Call
from kratos.errors import NotFound
from kratos.handler import Handler
from kratos.live import Live
from kratos.testing import FakeClock
from kratos.transport.dispatch import Dispatcher
from kratos.transport.grpc.admission import Admission
from kratos.transport.grpc.backlog import Backlog, Outflow
from kratos.transport.grpc.front import Calls
from kratos.transport.grpc.options import KeepAlive, Limits
from kratos.transport.grpc.server import GRPCServer

pytestmark = pytest.mark.parametrize("engine", [NATIVE])


def ping(text: str = "", count: int = 0) -> bytes:
    return Ping(text=text, count=count).to_binary()


def test_unknown_engine(engine: str) -> None:
    """An engine that is none is an error that names those there are."""
    with pytest.raises(ValueError, match="engine 'rust' is not known: it is 'grpcio' or 'native'"):
        GRPCServer(engine="rust")  # type: ignore[arg-type]


def test_options_that_it_cannot_serve(engine: str) -> None:
    """Each option that it would ignore is named when the server is made; those it can do are not."""
    asked = KeepAlive(max_idle=60, max_age=60, tolerate=1, every=5, timeout=5)
    with pytest.raises(ValueError, match="keepalive.max_idle, keepalive.max_age, keepalive.tolerate: leave"):
        GRPCServer(engine=engine, keepalive=asked)  # type: ignore[arg-type]
    server = GRPCServer(engine=engine, keepalive=KeepAlive(every=5, timeout=5))  # type: ignore[arg-type]
    assert server.summary == "calls up to 10 s, native engine"


def test_without_its_library(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pygrpc-native the app does not start, and says what to install."""
    monkeypatch.setitem(sys.modules, "pygrpc_native", None)
    server = GRPCServer("127.0.0.1:0", engine=engine)  # type: ignore[arg-type]
    with pytest.raises(ImportError, match=r'pip install "kratos-py\[native\]"'):
        server.mount([Kinds()], [], AppInfo())


async def test_a_failed_start_leaves_nothing(serve: Any, engine: str, monkeypatch: Any, tmp_path: Path) -> None:
    """What was opened before the start failed is closed again, and the port is free."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server = (await serve()).server
    await server.stop(0)

    class Broken(threading.Thread):
        def start(self) -> None:
            if self.name == "kratos grpc native":
                raise RuntimeError("can't start new thread")
            super().start()

    with monkeypatch.context() as patch:
        patch.setattr(threading, "Thread", Broken)
        with pytest.raises(RuntimeError, match="new thread"):
            await server.start()
    assert os.listdir(tmp_path) == []
    await server.start()
    await server.stop(0)
    assert os.listdir(tmp_path) == []
    await until(lambda: not [thread for thread in threading.enumerate() if thread.name == "kratos grpc native"])


async def test_peer(serve: Any, engine: str) -> None:
    """The peer is the client; where calls are handed on, which hides it, it is unknown and not somebody else."""
    served = await serve()
    await served.stub("Echo")(b"")
    collect = served.stub("Collect")()
    await collect.done_writing()
    await collect
    first, second = [call.peer.address for call in served.service.calls]
    assert first.startswith("127.0.0.1:")
    assert second == ""


async def test_calls_see_what_was_set_at_the_start(engine: str) -> None:
    """Context variables have in calls the values that they had when the server started, as with grpcio."""
    tenant = contextvars.ContextVar("tenant", default="none")
    seen = []

    class Looking(Kinds):
        async def echo(self, request: Ping, call: Call) -> Pong:
            seen.append(tenant.get())
            tenant.set("changed")
            return Pong()

    server = GRPCServer("127.0.0.1:0", engine=engine)  # type: ignore[arg-type]
    server.mount([Looking()], [], AppInfo())
    tenant.set("t1")
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel:
        for _ in range(2):
            await channel.unary_unary(PREFIX + "Echo")(b"")
    await server.stop(1)
    assert seen == ["t1", "t1"]


async def test_a_message_that_is_too_large(serve: Any, engine: str) -> None:
    """It is seen by middleware, and its error has a reason; the front has read it by then."""
    counting = Counting()
    served = await serve(middleware=[counting])
    with pytest.raises(grpc.aio.AioRpcError, match="4194304 are allowed"):
        await served.stub("Echo")(b"x" * 5_000_000)
    assert counting.seen["ClientError"] == 1


async def test_status_of_a_call_that_went_well(serve: Any, engine: str) -> None:
    """A status among the trailers of a call that went well, which would hang this front, is not sent."""

    async def odd(request: Any, call: Call, next: Handler) -> Any:
        call.reply.trailers.set("grpc-status-details-bin", "AAAA")
        return await next(request, call)

    served = await serve(middleware=[odd])
    assert await served.stub("Echo")(ping("a"), timeout=5) == ping("a")
    assert len([data async for data in served.stub("Watch")(ping("a", 2), timeout=5)]) == 2


async def test_replies_leave_before_the_end(serve: Any, engine: str) -> None:
    """A large reply to a client that reads slowly is not cut off by stop()."""

    class Large(Kinds):
        async def echo(self, request: Ping, call: Call) -> Pong:
            self.calls.append(call)
            await go.wait()
            return Pong(text="x" * 3_000_000)

    go = asyncio.Event()
    served = await serve(Large(), timeout=None)
    calls = [served.stub("Echo")(b"") for _ in range(8)]
    await until(lambda: len(served.service.calls) == 8)
    stopping = asyncio.create_task(served.server.stop(10))
    await asyncio.sleep(0)
    go.set()
    assert [len(await call) for call in calls] == [3_000_005] * 8
    await stopping


async def test_a_reply_that_the_front_refuses(serve: Any, engine: str, caplog: pytest.LogCaptureFixture) -> None:
    """A failure of the engine itself ends the call, is logged, and tells the client nothing but an id."""
    served = await serve()
    calls: Calls = served.server._engine._running.calls
    front = calls._front

    class Refusing:
        def __getattr__(self, name: str) -> Any:
            return getattr(front, name)

        def respond(self, *_: object) -> bool:
            raise ValueError("secret")

    calls._front = Refusing()  # type: ignore[assignment]
    with pytest.raises(grpc.aio.AioRpcError, match="internal error") as failure:
        await served.stub("Echo")(b"", timeout=20)
    assert failure.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" in caplog.text
    calls._front = front


class Endless(Kinds):
    """Streams until somebody leaves, and counts what it could hand on."""

    sent = 0

    async def watch(self, request: Ping, call: Call) -> AsyncIterator[Pong]:
        data = "x" * request.count
        while True:
            yield Pong(text=data)
            self.sent += 1


async def test_many_slow_readers(serve: Any, engine: str) -> None:
    """Two hundred clients that do not read hold no thread and little memory, and a quick one goes on as ever."""
    served = await serve(Endless())
    channels = [served.plain(grpc__http2__bdp_probe=0, grpc__http2__lookahead_bytes=65_535) for _ in range(10)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    threads = threading.active_count()
    slow = [channels[n % 10].unary_stream(PREFIX + "Watch")(ping("", 10_000)) for n in range(200)]
    for call in slow:
        await call.read()
    stood = -1
    while stood != served.service.sent:
        stood = served.service.sent
        await asyncio.sleep(0.3)
    assert stood < 200 * 30, "10 kB each, and clients have a window of 64 kB"
    assert threading.active_count() <= threads + 20, "those of the clients' channels"
    echo = served.stub("Echo")
    for _ in range(300):
        await echo(ping("quick"), timeout=5)
    quick = served.stub("Watch")(ping("", 100))
    for _ in range(300):
        assert len(await quick.read()) == 102
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 * 1024, "clients and their windows"
    for call in (quick, *slow):
        call.cancel()
    await until(lambda: not served.busy, 10)


async def test_cancelled_as_it_begins(engine: str) -> None:
    """A call whose client has left by the time it could begin leaves nothing behind."""

    class Front:
        def stream_try_send(self, stream: int, message: bytes) -> int:
            return 0

    class Native:
        EVENT_CALL = 0
        STREAM_FULL, STREAM_CLOSED = 1, 2

    calls = Calls(Front(), Native(), None, [None], admission=Admission(Live(Limits())))  # type: ignore[arg-type, list-item]
    details = ((), "ipv4:127.0.0.1:1", None)
    calls.take([(0, 1, 0, b"", None, details), (1, 1, 0, None, None, None), (1, 9, 0, None, None, None)])
    assert await calls.drain(0) == 0
    await asyncio.sleep(0)
    assert not calls._running
    assert not calls._left


async def test_time_counts_from_arrival(engine: str) -> None:
    """What a call waits for others in the event loop is part of its time, and of what its client grants it."""

    class Steps(FakeClock):
        def step(self, seconds: float) -> None:
            self._now += seconds

    class Busy(Kinds):
        async def echo(self, request: Ping, call: Call) -> Pong:
            clock.step(4.0)  # as one that computes
            return Pong(text=f"{call.remaining():g}")

    class Front:
        answers: ClassVar[list[str]] = []

        def stream_try_send(self, stream: int, message: bytes) -> int:
            raise NotImplementedError

        def respond(self, call_id: int, payload: bytes, *_: object) -> bool:
            self.answers.append(Pong.from_binary(payload).text)
            return True

        def fail(self, call_id: int, code: int, *_: object) -> bool:
            self.answers.append(str(code))
            return True

    class Native:
        EVENT_CALL = 0
        STREAM_FULL, STREAM_CLOSED = 1, 2

    dispatcher = Dispatcher([Busy()], timeout=10.0)
    endpoint, front = dispatcher.endpoints[PREFIX + "Echo"], Front()
    calls = Calls(front, Native(), dispatcher, [endpoint], admission=Admission(Live(Limits())))  # type: ignore[arg-type]
    wishes = [None, None, 9.0, 8.0]
    with Steps() as clock:
        calls.take([(0, at, 0, ping(), None, ((), "ipv4:127.0.0.1:1", wish)) for at, wish in enumerate(wishes)])
        assert await calls.drain(None) == 0
    assert front.answers == ["6", "2", "0", "4"]  # the last one has none, and DEADLINE_EXCEEDED is code 4


async def test_backlog(engine: str) -> None:
    """A message waits until there is room, streams do not hold up each other, and whoever is cancelled is forgotten."""
    full = {1, 2}
    got: list[tuple[int, bytes]] = []

    def try_send(stream: int, message: bytes) -> int:
        if stream in full:
            return 7
        got.append((stream, message))
        return 0

    backlog = Backlog(try_send, 7)
    flows = {stream: Outflow(stream, backlog) for stream in (1, 2, 3)}
    waiting = [asyncio.create_task(flows[stream].send(b"a")) for stream in (1, 2)]
    assert await flows[3].send(b"a") == 0
    await until(lambda: len(backlog._waiting) == 2)
    waiting[0].cancel()
    full.clear()
    assert await waiting[1] == 0
    assert got == [(3, b"a"), (2, b"a")]
    await until(lambda: not backlog._sweeping)
    assert not backlog._waiting


async def test_a_failure_that_has_headers(serve: Any, engine: str) -> None:
    """Our client finds what came before the failure of a unary call among the trailers."""

    async def failing(request: Any, call: Call, next: Handler) -> Any:
        call.reply.headers.set("retry-after", "3")
        raise NotFound("gone", reason="GONE")

    served = await serve(middleware=[failing])
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await served.stub("Echo")(b"")
    assert dict(failure.value.trailing_metadata() or ())["retry-after"] == "3"


def test_an_event_loop_that_has_ended(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose event loop ended without stop() lets its clients and its thread go."""

    async def nothing(path: str) -> None:
        """No grpcio behind it, which complains of such an end."""

    server: Any = GRPCServer("127.0.0.1:0", engine=engine)  # type: ignore[arg-type]
    server.mount([Kinds()], [], AppInfo())
    monkeypatch.setattr(server._engine._behind, "start", nothing)
    asyncio.run(server.start())
    with grpc.insecure_channel(server.address) as channel, pytest.raises(grpc.RpcError) as failure:
        channel.unary_unary(PREFIX + "Echo")(b"", timeout=20)
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
    thread = server._engine._running._thread
    thread.join(20)
    assert not thread.is_alive()
