"""The programs that gRPC for Go judges every other gRPC with: a client that plays cases, and a server.

They are built from grpc-go's own module, by the versions in ``judge/go.mod``; a case that fails ends the client with
an exit code and a line that says why.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import threading
from pathlib import Path

from interop.contract import HERE
from interop.peer import SECONDS, built, said

CASES = (
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "cancel_after_begin",
    "cancel_after_first_response",
    "timeout_on_sleeping_server",
    "custom_metadata",
    "status_code_and_message",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
)
"""The cases of gRPC's description that need neither credentials, compression nor a balancer."""

_LISTENING = re.compile(r"interop server listening on \S*:(\d+)$")


def build(which: str) -> Path:
    """Returns the path of the judges' ``client`` or ``server``; builds it if it is not there yet.

    Raises:
        RuntimeError: It does not compile, or what it needs cannot be downloaded.
    """
    module = HERE / "judge"

    def make(_folder: Path, made: Path) -> None:
        package = f"google.golang.org/grpc/interop/{which}"
        said("go", "build", "-trimpath", "-o", str(made), package, cwd=module)

    return built(f"judge-{which}", sorted(module.iterdir()), which, make)


async def play(client: Path, address: str, case: str) -> tuple[int, str]:
    """Has the client play one case against a server; returns its exit code and what it said."""
    host, _, port = address.rpartition(":")
    process = await asyncio.create_subprocess_exec(
        client, f"--server_host={host}", f"--server_port={port}", f"--test_case={case}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=_environment(),
    )  # fmt: skip
    try:
        async with asyncio.timeout(SECONDS):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        out, _ = await process.communicate()
        raise AssertionError(f"{case} takes longer than {SECONDS:g} s:\n{out.decode()}") from None
    assert process.returncode is not None
    return process.returncode, out.decode()


class JudgeServer:
    """The server, running.

    Attributes:
        address: Where it speaks gRPC, ``host:port``.
    """

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program, "--port=0"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=_environment(), text=True,
        )  # fmt: skip
        self.address = f"127.0.0.1:{self._port()}"
        # It goes on to log, and would stop where nobody reads that.
        self._reader = threading.Thread(target=self._lines, daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Ends it; it has no word for that but a signal."""
        self._process.terminate()
        self._process.wait(SECONDS)
        self._reader.join(SECONDS)
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _port(self) -> str:
        assert self._process.stderr is not None
        lines = []
        for line in self._process.stderr:
            found = _LISTENING.search(line.rstrip())
            if found:
                return found[1]
            lines.append(line)
        raise RuntimeError(f"the server ended:\n{''.join(lines)}")

    def _lines(self) -> None:
        assert self._process.stderr is not None
        for _ in self._process.stderr:
            pass


def _environment() -> dict[str, str]:
    # The server says its port in its log only.
    return {**os.environ, "NO_PROXY": "*", "GRPC_GO_LOG_SEVERITY_LEVEL": "info"}
