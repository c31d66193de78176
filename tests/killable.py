"""Servers of others in processes of their own, which can be killed and paused, and the network in front of them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

__all__ = ["PATIENCE_SECONDS", "Peer", "Relay", "free_port", "until"]

PATIENCE_SECONDS = 60.0


class Peer:
    """A server in a process of its own, which may be started again.

    Args:
        log: Where what it says is kept.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it has been started and not killed."""
        return self._process is not None

    def launch(self, command: Sequence[str | Path], folder: Path | None = None) -> None:
        """Starts the process."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)

    def wait(self, ready: Callable[[], object]) -> None:
        """Waits until it is ready."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not ready():
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, f"{type(self).__name__} does not get ready\n{self.log.read_text()}"
            time.sleep(0.02)

    def kill(self) -> None:
        """Ends it as a power cut does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()  # one that is paused too
            process.wait(PATIENCE_SECONDS)

    def pause(self) -> None:
        """Stops it in its tracks; its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)  # until then threads of it may go on, and answer

    def resume(self) -> None:
        """Lets it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


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
        self._loop.close()

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


async def until(true: Callable[[], object]) -> None:
    """Returns when something is so, which is looked at in a thread."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not await asyncio.to_thread(true):
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.05)


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
