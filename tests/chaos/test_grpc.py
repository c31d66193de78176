"""gRPC in bad company: peers that are killed, lines that go dead, connections that are closed by age, huge messages."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from catalogue.process import ServerProcess
from catalogue.process import running as in_process
from chaos.test_shutdown import ENGINES, running
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Kinds

from kratos import TLS, App, Call, GRPCClient, GRPCServer, Shutdown
from kratos.errors import Error, ServiceUnavailable
from kratos.transport.grpc import KeepAlive, Limits

HERE = Path(__file__).parent
PATIENCE = 60.0
MIB = 2**20
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(autouse=True)
def quiet_poller(monkeypatch: pytest.MonkeyPatch) -> None:
    """grpc.aio's poller complains in the log when one process uses several event loops, as tests do."""
    monkeypatch.setattr(logging.getLogger("asyncio"), "level", logging.CRITICAL)


@pytest.fixture(autouse=True)
async def begun() -> None:
    """What grpcio opens once and keeps is there before anything is counted."""
    async with served(Kinds()) as url, GRPCClient(url, timeout=None) as conn:
        await KindsClient(conn).echo(Ping())


def files() -> int:
    """Returns how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0


async def until(condition: Callable[[], object]) -> None:
    """Waits for what the other side does in its own time."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Asserts that there are no more tasks and descriptors than before, when what has ended is gone."""
    tasks, descriptors = len(asyncio.all_tasks()), files()
    yield

    def gone() -> bool:
        gc.collect()  # grpcio keeps a connection while there is a traceback that leads to a call
        return len(asyncio.all_tasks()) <= tasks and files() <= descriptors

    await until(gone)


@asynccontextmanager
async def served(service: Kinds, **options: Any) -> AsyncIterator[str]:
    """Serves in this process; yields the URL."""
    server = GRPCServer("127.0.0.1:0", timeout=None, **options)
    async with App(name="chaos", services=[service], servers=[server], middleware=[], shutdown=Shutdown(finish=1)):
        yield server.endpoint


async def hang(api: KindsClient, entered: Callable[[str], None], kind: str) -> None:
    """Makes a call of a kind, whose handler hangs, and waits for its end."""
    ping = Ping(text="hang", count=1)
    if kind == "echo":
        entered(kind)
        await api.echo(ping)
    elif kind == "watch":
        async with api.watch(ping) as replies:
            async for _ in replies:
                entered(kind)
    elif kind == "collect":
        async with api.collect() as stream:
            await stream.send(ping)
            entered(kind)
            await stream.reply()
    else:
        async with api.chat() as stream:
            await stream.send(Ping(text="hello"))
            await anext(aiter(stream))
            entered(kind)
            await stream.send(ping)
            await anext(aiter(stream))


async def endings(api: KindsClient, strike: Callable[[], Any]) -> dict[str, Error]:
    """Keeps a call of each kind under way, lets something happen to them, and returns what they fail with."""
    under_way: set[str] = set()
    kinds = ("echo", "watch", "collect", "chat")
    tasks = {kind: asyncio.create_task(hang(api, under_way.add, kind)) for kind in kinds}
    await until(lambda: len(under_way) == len(kinds))
    await strike()
    done = await asyncio.wait_for(asyncio.gather(*tasks.values(), return_exceptions=True), PATIENCE)
    failures = dict(zip(kinds, done, strict=True))
    assert all(isinstance(failure, Error) for failure in failures.values()), failures
    return failures  # type: ignore[return-value]  # asserted above


@ENGINES
async def test_a_server_that_is_killed(engine: str) -> None:
    """Calls of all kinds learn that their connection is lost; nothing of them is left, and later ones are refused."""
    await lose_a_server(engine)  # what grpcio opens the first time stays
    async with nothing_left():
        await lose_a_server(engine)


async def lose_a_server(engine: str) -> None:
    async with running(finish=1.0, engine=engine) as rig, GRPCClient(rig.urls[1], timeout=None) as conn:
        api = KindsClient(conn)

        async def kill() -> None:
            await asyncio.sleep(0.1)  # the unary call is on its way
            rig.process.kill()

        for kind, failure in (await endings(api, kill)).items():
            assert (failure.code, failure.grpc_code, failure.reason) == (503, 14, "CONNECTION_LOST"), kind
        with pytest.raises(ServiceUnavailable) as refused:
            await api.echo(Ping(), timeout=PATIENCE)
        assert refused.value.reason in {"CONNECTION_FAILED", "CONNECTION_LOST"}


@ENGINES
@LINUX
async def test_a_client_that_is_killed(engine: str) -> None:
    """Handlers of all kinds are cancelled when the client's process dies; others are served on."""
    service = Kinds()
    async with served(service, engine=engine) as url, GRPCClient(url, timeout=None) as other:
        await KindsClient(other).echo(Ping(text="before"))
        async with nothing_left():
            process = await asyncio.create_subprocess_exec(
                sys.executable, HERE / "calling.py", url, env={"PYTHONPATH": str(HERE.parent), "PATH": ""}
            )
            await until(lambda: service.hanging == 4)
            process.send_signal(signal.SIGKILL)
            await process.wait()
            await until(lambda: service.hanging == 0)
            assert (await KindsClient(other).echo(Ping(text="after"))).text == "after"


class Line:
    """A TCP proxy that may go dead: it forwards nothing any more, and both ends stay open."""

    def __init__(self, url: str) -> None:
        self._host, _, self._port = url.removeprefix("grpc://").rpartition(":")
        self._dead = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self.address = ""

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[None]:
        def connected(*ends: Any) -> None:
            self._connections.add(asyncio.create_task(self._connect(*ends)))

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield
        finally:
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            server.close()  # and not waited for, which since Python 3.12 includes its connections

    def cut(self) -> None:
        self._dead.set()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(self._host, int(self._port))
        try:
            await asyncio.gather(self._forward(reader, forth), self._forward(back, writer))
        finally:
            for each in (writer, forth):
                each.close()

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await source.read(65536):
                if not self._dead.is_set():  # a dead line still takes what is sent into it
                    sink.write(chunk)
            if not self._dead.is_set():
                sink.write_eof()


@ENGINES
async def test_a_line_that_goes_dead(engine: str) -> None:
    """A server that pings finds out, and cancels its handlers; so does a client, for which its calls are lost."""
    await lose_a_line(engine)  # what grpcio opens the first time stays
    async with nothing_left():
        await lose_a_line(engine)


async def lose_a_line(engine: str) -> None:
    service = Kinds()
    alive = KeepAlive(every=1.0, timeout=2.0)
    async with AsyncExitStack() as stack:
        line = Line(await stack.enter_async_context(served(service, engine=engine, keepalive=alive)))
        await stack.enter_async_context(line.laid())
        conn = await stack.enter_async_context(GRPCClient(line.address, timeout=None, keepalive=alive))

        async def cut() -> None:
            await until(lambda: service.hanging == 4)
            line.cut()

        for kind, failure in (await endings(KindsClient(conn), cut)).items():
            assert (failure.code, failure.grpc_code, failure.reason) == (503, 14, "CONNECTION_LOST"), kind
        await until(lambda: service.hanging == 0)


async def load(api: KindsClient, stop: asyncio.Event, answered: list[int], failed: list[Error]) -> None:
    """Calls until it is told to stop, one after the other."""
    while not stop.is_set():
        try:
            reply = await api.echo(Ping(text="a", count=len(answered)), timeout=PATIENCE, wait_for_ready=True)
        except Error as failure:
            failed.append(failure)
        else:
            answered.append(reply.count)


async def test_connections_that_are_closed_by_age() -> None:
    """A server that closes connections every half second loses no call of clients that call all the time."""
    peers: set[str] = set()

    class Noting(Kinds):
        async def echo(self, request: Ping, call: Call) -> Pong:
            peers.add(call.peer.address)
            return Pong(text=request.text, count=request.count)

    stop, answered, failed = asyncio.Event(), [], []  # type: ignore[var-annotated]
    async with (
        nothing_left(),
        served(Noting(), keepalive=KeepAlive(max_age=0.5)) as url,
        GRPCClient(url, timeout=None) as conn,
    ):
        callers = [asyncio.create_task(load(KindsClient(conn), stop, answered, failed)) for _ in range(8)]
        await until(lambda: len(peers) >= 6)
        stop.set()
        await asyncio.gather(*callers)
    assert failed == []
    assert len(answered) > 100


@ENGINES
async def test_a_server_that_starts_again(engine: str) -> None:
    """Under load a server stops and another one takes its address: calls that were told to wait are all answered."""
    first = Kinds()
    stop, answered, failed = asyncio.Event(), [], []  # type: ignore[var-annotated]
    async with AsyncExitStack() as stack:
        async with served(first, engine=engine) as url:
            conn = await stack.enter_async_context(GRPCClient(url, timeout=None))
            callers = [asyncio.create_task(load(KindsClient(conn), stop, answered, failed)) for _ in range(8)]
            await until(lambda: len(answered) >= 50)
        again = GRPCServer(url.removeprefix("grpc://"), timeout=None, engine=engine)  # type: ignore[arg-type]
        second = Kinds()
        async with App(name="again", services=[second], servers=[again], middleware=[]):
            await until(lambda: len(second.calls) >= 50)
            stop.set()
            await asyncio.gather(*callers)
    # Those that were under way are finished; refused is what came in while it stopped, and nothing was half done.
    assert all(failure.code in {503, 499} for failure in failed), failed
    assert len(answered) == len(first.calls) + len(second.calls)


@pytest.mark.slow
@LINUX
@ENGINES
async def test_a_hundred_megabytes(engine: str) -> None:
    """Beyond the limit of the server, or of the client, it is RESOURCE_EXHAUSTED; where both allow it, it passes."""
    text = "x" * (100 * MIB)
    with serving("usual", engine) as process:
        async with GRPCClient(process.url, timeout=None, limits=Limits(max_message=200 * MIB)) as conn:
            api = KindsClient(conn)
            await api.echo(Ping(text="warm"))
            before = process.forget()
            with pytest.raises(Error) as up:
                await api.echo(Ping(text=text))
            assert up.value.grpc_code == 8, up.value
            growth = process.peak() - before
            print(f"{engine}: refused by the server, whose memory grew by {growth / MIB:.1f} MiB")
            if engine == "grpcio":  # the other one is documented to read it all
                assert growth < 64 * MIB
            assert (await api.echo(Ping(text="after"))).text == "after"
    with serving("large", engine) as process:
        async with GRPCClient(process.url, timeout=None) as conn:
            with pytest.raises(Error) as down:
                await KindsClient(conn).echo(Ping(text="large", count=100 * MIB))
            assert down.value.grpc_code == 8, down.value
            assert (await KindsClient(conn).echo(Ping(text="after"))).text == "after"
        async with GRPCClient(process.url, timeout=None, limits=Limits(max_message=200 * MIB)) as conn:
            assert (await KindsClient(conn).echo(Ping(text=text))).text == text
        process.check()


def serving(kind: str, engine: str, own: TLS | None = None) -> Any:
    """Runs a server in a process of its own, with TLS if it has a certificate."""
    files = () if own is None else (str(own.cert), str(own.key))
    return in_process(kind, engine, *files, script=HERE / "streaming.py")


STREAMS = 10_000
CONNECTIONS = 20


@pytest.mark.slow
@LINUX
@ENGINES
async def test_ten_thousand_slow_streams(engine: str) -> None:
    """Streams that nobody hurries to read cost little memory each, hold nobody up, and leave nothing that grows."""
    with serving("usual", engine) as process:
        await crowd(process, 500)  # what is kept for streams is there
        base = process.resident()
        waves = [await crowd(process, STREAMS) - base for _ in range(3)]
        each, _, again = (wave / STREAMS / 1024 for wave in waves)
        left = (process.resident() - base) / MIB
        print(f"{engine}: {each:.1f} KiB a stream, {again:.1f} the third time; {left:.0f} MiB are kept for the next")
        assert waves[0] < STREAMS * 64 * 1024
        assert waves[2] < 1.25 * max(waves[:2]) + 16 * MIB  # memory that is not given back to the system is used again
        process.check()


async def crowd(process: ServerProcess, streams: int) -> int:
    """Has streams come and go; returns how much memory the server had meanwhile."""
    descriptors = process.files()
    got = [0]
    async with AsyncExitStack() as stack:
        api, *apis = [
            KindsClient(await stack.enter_async_context(GRPCClient(process.url, timeout=None)))
            for _ in range(CONNECTIONS + 1)
        ]
        readers = [asyncio.create_task(trickle(apis[each % CONNECTIONS], got)) for each in range(streams)]
        await until(lambda: got[0] >= streams)
        full = process.resident()
        for _ in range(20):
            assert (await api.echo(Ping(text="meanwhile"), timeout=PATIENCE)).text == "meanwhile"
        more = got[0] + streams // 5
        await until(lambda: got[0] >= more)  # they go on
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        readers.clear()
        while int((await api.echo(Ping(text="state"))).text) > 0:
            await asyncio.sleep(0.1)

    def gone() -> bool:
        gc.collect()  # as in nothing_left()
        return process.files() <= descriptors + 8  # what a process opens once; the connections were more

    await until(gone)
    return full


async def trickle(api: KindsClient, got: list[int]) -> None:
    """Reads a stream, and waits between its messages."""
    async with api.watch(Ping(text="trickle")) as replies:
        async for _ in replies:
            got[0] += 1
            await asyncio.sleep(1.0)
