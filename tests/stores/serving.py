"""Real servers of Redis and memcached, on free ports."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

__all__ = ["Server", "memcached", "redis"]

PATIENCE_SECONDS = 60.0


class Server:
    """A process that listens on a port of its own, and can be stopped and started there again."""

    def __init__(self, command: list[str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self._command = command
        self._folder = tempfile.TemporaryDirectory()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [part.format(port=self.port) for part in self._command]
        with (Path(self._folder.name) / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._folder.name, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self._process.poll() is None, (Path(self._folder.name) / "log").read_text()
                assert time.monotonic() < end, f"{command[0]} does not listen"
                time.sleep(0.02)

    def kill(self) -> None:
        """Ends it as a crash would: what it had is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(60)

    def close(self) -> None:
        self.kill()
        self._folder.cleanup()


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
