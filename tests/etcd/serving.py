"""A real etcd on a free port, that can be killed, emptied, paused and started again; and etcdctl, its own client."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

ETCD, ETCDCTL = shutil.which("etcd"), shutil.which("etcdctl")
NEEDED = pytest.mark.skipif(
    ETCD is None or ETCDCTL is None, reason="needs etcd and etcdctl: apt-get install etcd-server etcd-client"
)
PATIENCE_SECONDS = 60.0


class Etcd:
    """One member, alone unless told of others.

    Args:
        folder: Where it keeps its data.
        name: The member's name.
        scheme: How clients speak to it.
        flags: Further flags of the server.
    """

    def __init__(self, folder: Path, name: str = "alone", scheme: str = "http", flags: Sequence[str] = ()) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.peer = f"http://127.0.0.1:{free_port()}"
        self.name = name
        self.cluster = f"{name}={self.peer}"
        self.flags: list[str] = [*flags]
        self.ctl_flags: list[str] = []
        self.data = folder / f"{name}.data"
        self.log = folder / f"{name}.log"
        self.url = f"{scheme}://{self.address}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        """Starts it, or starts it again, and waits until it answers."""
        command = [
            str(ETCD), f"--name={self.name}", f"--data-dir={self.data}",
            f"--listen-client-urls={self.url}", f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={self.peer}", f"--initial-advertise-peer-urls={self.peer}",
            f"--initial-cluster={self.cluster}", "--heartbeat-interval=50", "--election-timeout=500", *self.flags,
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        if wait:
            self.wait()

    def wait(self) -> None:
        """Waits until it answers."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, f"etcd does not get ready\n{self.log.read_text()}"
            time.sleep(0.02)

    def kill(self) -> None:
        """Ends it as a power cut does."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    @property
    def running(self) -> bool:
        """Whether it has been started and not killed."""
        return self._process is not None

    def wipe(self) -> None:
        """Takes its data away."""
        shutil.rmtree(self.data)

    def pause(self) -> None:
        """Stops it in its tracks; its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def ctl(self, *arguments: str, check: bool = True) -> str:
        """Returns what etcdctl says."""
        command = [str(ETCDCTL), f"--endpoints={self.url}", "--command-timeout=30s", *self.ctl_flags, *arguments]
        environment = {**os.environ, "ETCDCTL_API": "3"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def keys(self, prefix: str = "") -> dict[str, str]:
        """Returns what is in it, as etcdctl has it."""
        found = json.loads(self.ctl("get", prefix, "--prefix", "--write-out=json")).get("kvs", [])
        return {b64decode(kv["key"]).decode(): b64decode(kv.get("value", "")).decode() for kv in found}

    def leases(self) -> list[str]:
        """Returns the leases there are, in hexadecimal."""
        return self.ctl("lease", "list").split()[3:]

    def _answers(self) -> bool:
        host, _, port = self.address.partition(":")
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            return False
        return self.ctl("endpoint", "health", "--write-out=json", check=False).count('"health":true') == 1


async def until(true: Callable[[], object]) -> None:
    """Returns when something is so, which is looked at in a thread."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not await asyncio.to_thread(true):
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.05)


class Relay:
    """A stretch of network in front of a server, which can be cut without closing a connection.

    Args:
        address: The server's.
    """

    def __init__(self, address: str) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._server = address
        self._loop = asyncio.new_event_loop()
        self._whole = asyncio.Event()
        self._whole.set()
        self._ended = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()))
        self._thread.start()
        self._ready.wait(PATIENCE_SECONDS)

    def cut(self) -> None:
        """Lets no byte through any more."""
        self._loop.call_soon_threadsafe(self._whole.clear)

    def heal(self) -> None:
        """Lets bytes through again."""
        self._loop.call_soon_threadsafe(self._whole.set)

    def close(self) -> None:
        """Ends it."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(PATIENCE_SECONDS)

    async def _run(self) -> None:
        host, _, port = self.address.partition(":")
        server = await asyncio.start_server(self._connect, host, int(port))
        self._ready.set()
        await self._ended.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self._server.partition(":")
        with suppress(OSError, asyncio.CancelledError):
            await self._whole.wait()
            there = await asyncio.open_connection(host, int(port))
            await asyncio.gather(self._pump(reader, there[1]), self._pump(there[0], writer))
        writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
