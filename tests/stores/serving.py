"""Real servers of Redis and memcached, on free ports."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest
from killable import Peer, free_port

__all__ = ["Deaf", "Server", "memcached", "redis"]


class Server(Peer):
    """A process that listens on a port of its own, and can be stopped and started there again."""

    def __init__(self, command: list[str]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        super().__init__(Path(self._folder.name) / "log")
        self.port = free_port()
        self._command = command
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it, or starts it again, and waits until it listens."""
        self.launch([part.format(port=self.port) for part in self._command], Path(self._folder.name))
        self.wait(self._listens)

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def close(self) -> None:
        self.kill()
        self._folder.cleanup()


class Deaf:
    """Stands in front of a server; connections can be made deaf, as when the other side has vanished without a word."""

    def __init__(self, server: Server) -> None:
        self._behind = server.port
        self._open: list[asyncio.Event] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def deafen(self) -> None:
        """Has nothing more come through on the connections that there are; new ones are served."""
        for each in self._open:
            each.set()

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._pass_on(reader, writer))
        self._tasks.add(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        deaf = asyncio.Event()
        self._open.append(deaf)
        behind, back = await asyncio.open_connection("127.0.0.1", self._behind)
        try:
            await asyncio.gather(_pipe(reader, back, deaf), _pipe(behind, writer, deaf))
        finally:
            back.close()
            writer.close()


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter, deaf: asyncio.Event) -> None:
    while data := await source.read(65536):
        if not deaf.is_set():
            target.write(data)
    if not deaf.is_set():
        target.close()


def redis() -> Server:
    """Starts Redis; it keeps nothing on a disk."""
    program = _program("redis-server", "redis-server")
    return Server([program, "--port", "{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])


def memcached() -> Server:
    """Starts memcached."""
    return Server([_program("memcached", "memcached"), "-u", "nobody", "-l", "127.0.0.1", "-p", "{port}", "-m", "64"])


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}: apt-get install {package}")
    return found
