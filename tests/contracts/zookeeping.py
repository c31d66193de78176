"""A real ZooKeeper on a free port, that can be killed, emptied, paused and started again; and its own client."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

JAVA = shutil.which("java")
JARS = [Path("/usr/share/java/zookeeper.jar"), Path("/usr/share/java/slf4j-simple.jar")]
NEEDED = pytest.mark.skipif(
    JAVA is None or not all(jar.exists() for jar in JARS),
    reason="needs ZooKeeper: apt-get install zookeeper default-jre-headless libslf4j-java",
)
PATIENCE_SECONDS = 60.0

# Sessions may last from one to ten seconds. All jars of the folder together do not work: its manifest knows the rest.
CONFIG = """
tickTime=500
dataDir={data}
clientPort={port}
clientPortAddress=127.0.0.1
admin.enableServer=false
maxClientCnxns=0
4lw.commands.whitelist=*
"""


class ZooKeeper:
    """One server.

    Args:
        folder: Where it keeps its data.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._data = folder / "data"
        self._config = folder / "zoo.cfg"
        self._log = folder / "log"
        self._config.write_text(CONFIG.format(data=self._data, port=self.port))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, or starts it again, and waits until it answers."""
        command = [*_java("-Dzookeeper.forceSync=no"), "org.apache.zookeeper.server.quorum.QuorumPeerMain"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*command, self._config], stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE_SECONDS
        while "Mode:" not in self.say("srvr"):  # it says imok before it lets anybody in
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < end, f"ZooKeeper does not get ready\n{self._log.read_text()}"
            time.sleep(0.05)

    def kill(self) -> None:
        """Ends it as a power cut does."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    def wipe(self) -> None:
        """Takes its data away."""
        shutil.rmtree(self._data, ignore_errors=True)

    def pause(self) -> None:
        """Stops it in its tracks; its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def say(self, word: str) -> str:
        """Returns what it answers to one of its four-letter words; nothing if it does not answer."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                connection.sendall(word.encode())
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        except OSError:
            return ""

    def cli(self, *words: str) -> str:
        """Returns what ZooKeeper's own client says to a command."""
        command = [*_java("-Dorg.slf4j.simpleLogger.defaultLogLevel=error"), "org.apache.zookeeper.ZooKeeperMain"]
        done = subprocess.run(
            [*command, "-waitforconnection", "-server", self.address, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stdout + done.stderr


class Relay:
    """A stretch of network in front of a server, which can be cut without closing a connection."""

    def __init__(self, port: int) -> None:
        self.address = ""
        self._port = port
        self._whole = asyncio.Event()
        self._whole.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listens."""
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def aclose(self) -> None:
        """Ends all connections."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """Lets no byte through any more."""
        self._whole.clear()

    def heal(self) -> None:
        """Lets bytes through again."""
        self._whole.set()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(OSError, asyncio.CancelledError):
            await self._whole.wait()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
            with suppress(ExceptionGroup):
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, far_writer))
                    group.create_task(self._pump(far_reader, writer))
        writer.transport.abort()
        self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
        finally:
            writer.transport.abort()


async def until(true: Callable[[], object]) -> None:
    """Returns when something is so, which is looked at in a thread."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not await asyncio.to_thread(true):
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _java(option: str) -> list[str]:
    return [str(JAVA), "-Xmx256m", option, "-cp", ":".join(map(str, JARS))]
