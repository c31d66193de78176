"""Thousands of peers that break off, are killed or send nonsense leave the memory of a gRPC server as it was."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
import grpc.aio
import pytest
from catalogue.process import ServerProcess
from chaos.test_grpc import PATIENCE, quiet_poller, serving
from chaos.test_shutdown import ENGINES
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from unit.transport.certificates import Certificates
from unit.transport.grpc.rig import OPENING, PREFIX, frame, headers
from unit.transport.grpc.test_frames import BROKEN, message, opened

from kratos import TLS

__all__ = ["quiet_poller"]

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

WARM_UP = 1000
PEERS = 2000
AT_ONCE = 25
ALLOWED_KIB = 8 * 1024

REPLY = b"x" * 100  # which is in the first message of either stream
PING = message(Ping(text=REPLY.decode(), count=1).to_binary())
CALLS = OPENING + b"".join(
    opened(headers(PREFIX.encode() + method), stream=stream) + frame(0, last, stream, PING)
    for method, stream, last in ((b"Watch", 1, 1), (b"Chat", 3, 0))
)
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
GARBAGE = [b"\x00" * 500, HELLO, HELLO + b"\xff" * 600, OPENING]
NONSENSE = [*BROKEN.values(), *GARBAGE]


async def break_off(port: int, data: bytes) -> None:
    """Sends something, waits until calls have begun or for a moment, and breaks the connection off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    received = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(PATIENCE if data is CALLS else 0.05):
            while received.count(REPLY) < 2 and (chunk := await reader.read(65536)):
                received += chunk
    writer.transport.abort()


async def break_many(port: int, peers: int, said: Sequence[bytes]) -> None:
    """Breaks off many connections, some at a time, that have said one thing after the other."""
    turn = itertools.cycle(said)
    for _ in range(peers // AT_ONCE):
        await asyncio.gather(*(break_off(port, next(turn)) for _ in range(AT_ONCE)))


async def kill_many(port: int, peers: int) -> None:
    """Kills processes that have connections with calls under way."""
    script = (
        "import socket, sys, time\n"
        f"made = [socket.create_connection(('127.0.0.1', {port})) for _ in range({AT_ONCE})]\n"
        f"for each in made: each.sendall({CALLS!r})\n"
        "for each in made:\n"
        "    received = b''\n"
        f"    while received.count({REPLY!r}) < 2: received += each.recv(65536)\n"
        "print('there', flush=True); time.sleep(600)"
    )
    for _ in range(peers // AT_ONCE):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", script, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"there\n"
        process.send_signal(signal.SIGKILL)
        await process.communicate()


async def settled(process: ServerProcess, channel: grpc.aio.Channel, files: int) -> None:
    """Waits until no handler runs and no connection of others is left; the server still answers."""
    echo = channel.unary_unary(PREFIX + "Echo")
    async with asyncio.timeout(PATIENCE):
        while True:
            reply = await echo(Ping(text="state").to_binary(), timeout=PATIENCE)
            if Pong.from_binary(reply).text == "0" and process.files() <= files:
                return
            await asyncio.sleep(0.05)


async def grown(process: ServerProcess, channel: grpc.aio.Channel, cause: Callable[[int], object], name: str) -> None:
    """Asserts that trouble leaves no more than the trouble before it did."""
    echo = channel.unary_unary(PREFIX + "Echo")
    await echo(Ping(text="before").to_binary(), timeout=PATIENCE)
    files = process.files() + 2  # what is opened once
    resident = []
    for peers in (WARM_UP, PEERS):
        await cause(peers)  # type: ignore[misc]  # all of them are coroutine functions
        await settled(process, channel, files)
        resident.append(process.resident() // 1024)
    growth = resident[1] - resident[0]
    print(f"{name}: {growth} KiB more after {PEERS} peers, {resident[0]} KiB before")
    assert growth < ALLOWED_KIB
    process.check()


@ENGINES
@pytest.mark.parametrize("trouble", ["aborted", "nonsense", "killed"])
async def test_plain(engine: str, trouble: str) -> None:
    """Connections that break off with calls under way or after frames of no sense, and processes that are killed."""
    with serving("usual", engine) as process:

        async def cause(peers: int) -> None:
            if trouble == "killed":
                await kill_many(process.port, peers // 2)
            else:
                await break_many(process.port, peers, [CALLS] if trouble == "aborted" else NONSENSE)

        async with grpc.aio.insecure_channel(f"127.0.0.1:{process.port}") as channel:
            await grown(process, channel, cause, f"{engine}, {trouble}")


async def test_tls(tmp_path: Path) -> None:
    """Peers that break off their handshake, or never begin one, at a port with TLS."""
    made = Certificates(tmp_path)
    own: TLS = made.issue("server")
    trust = grpc.ssl_channel_credentials(made.ca.read_bytes())
    with serving("usual", "grpcio", own) as process:

        async def cause(peers: int) -> None:
            await break_many(process.port, peers, GARBAGE)

        async with grpc.aio.secure_channel(f"localhost:{process.port}", trust) as channel:
            await grown(process, channel, cause, "grpcio, TLS")
