"""Builds the Go programs of these tests, and runs the one of Kratos.

What a program is built from decides its name in the user's cache, so a second run builds nothing. The generators and
the code they write stay there too: nothing of Go's is ever in the repository but our own sources.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from protobuf import Message

from interop.contract import HERE, PROJECT
from kratos.errors import Error
from kratos.tools.codegen.buf import executable

M = TypeVar("M", bound=Message[Any])

SECONDS = 30.0
"""How long anything may take that takes a moment."""
BUILD_SECONDS = 600.0

MISSING = "needs Go 1.26 or newer: apt-get install golang-go, or https://go.dev/dl"

_GENERATORS = {
    "protoc-gen-go": "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11",
    "protoc-gen-go-grpc": "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2",
}
_MODULE = "interop.test/peer"


def has_go() -> bool:
    """Tells whether there is a Go that can build the peer."""
    return shutil.which("go") is not None


def build() -> Path:
    """Returns the path of the program; builds it if it is not there yet.

    Raises:
        RuntimeError: It does not compile, or what it needs cannot be downloaded.
    """
    sources = [*sorted((HERE / "go").iterdir()), *sorted((HERE / "proto" / "interop").rglob("*.proto"))]

    def make(folder: Path, made: Path) -> None:
        shutil.copytree(HERE / "go", folder)
        _generate(_cache() / "bin", folder)
        said("go", "build", "-trimpath", "-o", str(made), ".", cwd=folder)

    return built("peer", sources, repr(sorted(_GENERATORS.items())), make)


def built(name: str, sources: Sequence[Path], settings: str, make: Callable[[Path, Path], None]) -> Path:
    """Returns the path of a program; has it made if there is none of these sources.

    Args:
        name: What its name begins with.
        sources: The files it is made from.
        settings: What else decides what it is.
        make: Makes it: gets the path of a folder that is not there yet and may be used, and where the program goes.

    Raises:
        RuntimeError: It cannot be made.
    """
    digest = hashlib.sha256(said("go", "version").encode() + settings.encode())
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    cache = _cache()
    program = cache / f"{name}-{digest.hexdigest()[:16]}"
    if program.exists():
        return program
    with tempfile.TemporaryDirectory(dir=cache, prefix="build-") as place:
        made = Path(place) / "made"
        make(Path(place) / "src", made)
        made.replace(program)
    for old in cache.glob(f"{name}-*"):
        if old != program:
            old.unlink(missing_ok=True)
    return program


def _cache() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kratos-py" / "interop"
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _generate(tools: Path, folder: Path) -> None:
    plugins = []
    for name, module in _GENERATORS.items():
        place = tools / module.rpartition("@")[2]
        if not (place / name).exists():
            said("go", "install", module, cwd=folder, GOBIN=str(place))
        options = [f"module={_MODULE}", f"Minterop/v1/interop.proto={_MODULE}/pb"]
        plugins.append({"local": str(place / name), "out": str(folder), "opt": options, "strategy": "all"})
    template = {"version": "v2", "plugins": plugins}
    modules = {"version": "v2", "modules": [{"path": "proto"}, {"path": ".kratos/third_party"}]}
    said(
        executable(), "generate", ".", "--config", json.dumps(modules), "--template", json.dumps(template),
        "--path", "proto/interop", cwd=PROJECT.root,
    )  # fmt: skip


def said(*command: str, cwd: Path | None = None, **environment: str) -> str:
    """Runs a command and returns what it said.

    Raises:
        RuntimeError: It failed; the message has its output.
    """
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=BUILD_SECONDS,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _environment() -> dict[str, str]:
    # Kratos writes local times and calls them UTC (row 17 of its defects); here they are the same.
    return {**os.environ, "TZ": "UTC", "NO_PROXY": "*"}


class GoServer:
    """The Go program as a server.

    Args:
        program: The program.
        limit: How long a unary call may take, as Go says it.
        registry: Where it registers, such as ``etcd://127.0.0.1:2379``; nowhere if it is empty.

    Attributes:
        http: Where it speaks HTTP, ``host:port``.
        grpc: Where it speaks gRPC.
    """

    def __init__(self, program: Path, limit: str = "20s", registry: str = "") -> None:
        command = [program, "serve", limit, *filter(None, [registry])]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment(), text=True
        )
        assert self._process.stdout is not None
        addresses = json.loads(self._process.stdout.readline())
        self.http: str = addresses["http"]
        self.grpc: str = addresses["grpc"]

    def address(self, transport: str) -> str:
        """Returns where it speaks ``http`` or ``grpc``."""
        return self.http if transport == "http" else self.grpc

    def close(self) -> None:
        """Ends it, as the end of its standard input asks it to."""
        try:
            self._process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise
        assert self._process.returncode == 0


@dataclass(frozen=True)
class Outcome:
    """What came of a call that the Go program made.

    Attributes:
        replies: The replies, as protobuf JSON.
        error: What the call failed with; ``text`` beside the four facts is all of it in one string.
        headers: The headers of the reply.
        trailers: Its trailers.
    """

    replies: list[Any]
    error: dict[str, Any] | None
    headers: dict[str, list[str]] = field(default_factory=dict)
    trailers: dict[str, list[str]] = field(default_factory=dict)

    def failed(self) -> tuple[int, str, str, dict[str, str]]:
        """Returns code, reason, message and metadata of the error; fails if there is none."""
        assert self.error is not None, self.replies
        error = self.error
        return error["code"], error["reason"], error["message"], error["metadata"] or {}


class GoClient:
    """The Go program as a client of one server; each call is a process of its own."""

    def __init__(self, program: Path, transport: str, target: str) -> None:
        self._program = program
        self.transport = transport
        self._target = target

    async def call(self, rpc: str, *requests: Any, **more: Any) -> Outcome:
        """Makes one call.

        Args:
            rpc: The method's name.
            requests: The messages to send; JSON of a message may stand for it.
            more: Further members of the scenario, see ``call.go``.
        """
        scenario = {
            "transport": self.transport,
            "target": self._target,
            "rpc": rpc,
            "requests": [each if isinstance(each, dict) else json.loads(each.to_json()) for each in requests],
            **more,
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            self._program, "call", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, env=_environment(),
        )  # fmt: skip
        try:
            async with asyncio.timeout(SECONDS):
                out, err = await process.communicate(json.dumps(scenario).encode())
        except TimeoutError:
            process.kill()
            await process.communicate()
            raise
        assert process.returncode == 0, err.decode()
        said = json.loads(out)
        return Outcome(said["replies"] or [], said["error"], said["headers"], said["trailers"])


class GoWatch:
    """The Go program as one who watches the health of a server. Use it as an async context manager.

    Args:
        program: The program.
        target: Whose health, ``host:port``.
        service: Which service; the empty name is the server as a whole.
    """

    def __init__(self, program: Path, target: str, service: str = "") -> None:
        self._program = program
        self._wanted = {"target": target, "service": service}

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            self._program, "health", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=_environment()
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(self._wanted).encode() + b"\n")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()

    async def said(self) -> dict[str, Any]:
        """Returns what it was told next: a ``status``, or the ``code`` and ``reason`` that the stream ended with."""
        assert self._process.stdout is not None
        async with asyncio.timeout(SECONDS):
            line = await self._process.stdout.readline()
        told: dict[str, Any] = json.loads(line)
        return told


def facts(error: Error) -> tuple[int, str, str, dict[str, str]]:
    """Returns code, reason, message and metadata of an error."""
    return error.code, error.reason, error.message, dict(error.metadata)


def from_json(type_: Any, said: Sequence[Any]) -> list[Any]:
    """Returns messages that came as JSON."""
    return [rounded(type_.from_json(json.dumps(one))) for one in said]


def rounded(message: M) -> M:
    """Returns a message as it is on the wire, where a ``float`` has 32 bits; in Python it has what JSON says."""
    return type(message).from_binary(message.to_binary())
