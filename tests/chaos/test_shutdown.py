"""SIGTERM in bad company: stuck handlers, open streams, hooks that hang. The process ends within its limits."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong

from kratos import GRPCClient, HTTPClient
from kratos.errors import Error

HERE = Path(__file__).parent
NATIVE = pytest.param(
    "native", marks=pytest.mark.skipif(not find_spec("pygrpc_native"), reason="needs kratos-py[native]")
)
ENGINES = pytest.mark.parametrize("engine", ["grpcio", NATIVE])


class Process:
    """The process under test, and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.urls: list[str] = []
        self.errors = ""

    async def greeted(self) -> None:
        """Waits for the banner."""
        assert self.process.stderr is not None
        while "Ctrl-C" not in (line := (await self.process.stderr.readline()).decode()):
            assert line, "it ended before it served"
            self.urls += re.findall(r"^ +((?:http|grpc)://\S+)", line)

    async def end(self, within: float) -> tuple[int, str, float]:
        """Returns exit code, output and seconds that it took."""
        began = time.monotonic()
        out, err = await asyncio.wait_for(self.process.communicate(), within)
        self.errors = err.decode()
        return self.process.returncode or 0, out.decode(), time.monotonic() - began


@asynccontextmanager
async def running(
    finish: float, linger: float = 0.0, engine: str = "grpcio", ports: Iterable[int] = ()
) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, HERE / "serving.py", str(finish), str(linger), engine, *map(str, ports),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=HERE.parent,
        env={"PYTHONPATH": str(HERE.parent), "PATH": ""},
    )  # fmt: skip
    rig = Process(process)
    try:
        await rig.greeted()
        yield rig
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()  # and not wait(), which never ends while there is output to read


def client(url: str) -> Any:
    return (HTTPClient if url.startswith("http") else GRPCClient)(url, timeout=None)


async def busy(rig: Process, stack: AsyncExitStack) -> list[asyncio.Task[Any]]:
    """Keeps calls of every kind open on both transports; returns the tasks that wait for them."""
    tasks: list[asyncio.Task[Any]] = []

    async def read(stream: Any) -> None:
        async for _ in stream:
            pass

    for url in rig.urls:
        api = KindsClient(await stack.enter_async_context(client(url)))
        tasks.append(asyncio.create_task(api.echo(Ping(text="hang"))))
        tasks.append(asyncio.create_task(read(await stack.enter_async_context(api.watch(Ping(text="hang"))))))
        chat = await stack.enter_async_context(api.chat())
        await chat.send(Ping(text="hello"))
        await anext(aiter(chat))
        tasks.append(asyncio.create_task(read(chat)))
    await asyncio.sleep(0.3)
    assert not any(task.done() for task in tasks)
    return tasks


@ENGINES
async def test_stuck_calls_do_not_hold_the_process(engine: str) -> None:
    """Stuck handlers and open streams are cancelled at the limit; their callers get an error, not silence."""
    async with running(finish=1.0, engine=engine) as rig, AsyncExitStack() as stack:
        tasks = await busy(rig, stack)
        rig.process.send_signal(signal.SIGTERM)
        code, out, seconds = await rig.end(within=15)
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
    assert (code, out) == (0, "leaving\nleft\ndone\n")
    assert seconds < 8
    assert "Traceback" not in rig.errors, rig.errors
    assert all(result is None or isinstance(result, Error) for result in results), results


@ENGINES
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_idle_process_ends_at_once(number: signal.Signals, engine: str) -> None:
    """With nothing to finish, it is over in a moment, even with idle connections open."""
    async with running(finish=30.0, engine=engine) as rig, AsyncExitStack() as stack:
        for url in rig.urls:
            api = KindsClient(await stack.enter_async_context(client(url)))
            await api.echo(Ping(text="once"))
        rig.process.send_signal(number)
        code, out, seconds = await rig.end(within=10)
    assert (code, out) == (0, "leaving\nleft\ndone\n")
    assert seconds < 4
    assert "Traceback" not in rig.errors, rig.errors


async def test_a_hook_that_hangs_is_left_behind() -> None:
    """A hook that does not end in time is an error with a name, and the process ends."""
    async with running(finish=1.0, linger=60.0) as rig:
        rig.process.send_signal(signal.SIGTERM)
        code, out, seconds = await rig.end(within=15)
    assert code == 1
    assert out == "leaving\n"
    assert "did not stop cleanly" in rig.errors
    assert "not done after 2 s" in rig.errors
    assert seconds < 8


@ENGINES
async def test_a_second_signal_forces(engine: str) -> None:
    """Whoever asks twice gets it at once."""
    async with running(finish=30.0, linger=60.0, engine=engine) as rig, AsyncExitStack() as stack:
        tasks = await busy(rig, stack)
        rig.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        rig.process.send_signal(signal.SIGTERM)
        code, _, seconds = await rig.end(within=10)
        await asyncio.gather(*tasks, return_exceptions=True)
    assert code == -signal.SIGTERM
    assert seconds < 4


@ENGINES
async def test_under_load_nothing_that_was_begun_is_lost(engine: str) -> None:
    """Of the calls that clients make while the process stops, each is answered whole or refused."""
    # grpcio cancels those that it has accepted and that nobody has asked it for yet.
    refusals = {"grpcio": {"UNAVAILABLE", "CANCELLED"}, "native": {"UNAVAILABLE"}}[engine]
    outcomes: Counter[str] = Counter()

    async def call(stub: Any) -> None:
        while True:
            text = "x" * 20_000
            try:
                reply = await stub(Ping(text=text).to_binary(), timeout=20)
            except grpc.aio.AioRpcError as failure:
                outcomes[failure.code().name] += 1
                return
            outcomes["whole" if Pong.from_binary(reply).text == text else "broken"] += 1

    async with running(finish=10.0, engine=engine) as rig:
        address = rig.urls[1].removeprefix("grpc://")
        channels = [grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(4)]
        callers = [
            asyncio.create_task(call(channel.unary_unary("/fixture.kinds.v1.Kinds/Echo")))
            for channel in channels
            for _ in range(8)
        ]
        while outcomes["whole"] < 500:
            await asyncio.sleep(0.01)
        rig.process.send_signal(signal.SIGTERM)
        code, _, _ = await rig.end(within=30)
        await asyncio.wait_for(asyncio.gather(*callers), 30)
        for channel in channels:
            await channel.close()
    assert code == 0, rig.errors
    assert outcomes.keys() <= {"whole"} | refusals
    assert sum(outcomes[code] for code in refusals) == len(callers)
