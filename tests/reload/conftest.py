"""A project in a folder of its own, and ``kratos run`` over it in processes as people start them."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kratos.tools.codegen.project import Project, generate

PATIENCE = 60.0  # far more than anything takes; what is slow is measured elsewhere

PROTO = """syntax = "proto3";

package shop.v1;

import "google/api/annotations.proto";

service Greeter {
  rpc SayHello(HelloRequest) returns (HelloReply) {
    option (google.api.http) = {get: "/hello/{name}"};
  }
  rpc Follow(HelloRequest) returns (stream HelloReply) {
    option (google.api.http) = {get: "/follow/{name}"};
  }
}

message HelloRequest {
  string name = 1;
}

message HelloReply {
  string message = 1;
  int32 pid = 2;
}
"""

MAIN = """import asyncio
import os
import sys
from contextlib import asynccontextmanager

from kratos import App, GRPCServer, HTTPServer

from .gen.shop.v1.greeter_kratos import GreeterService
from .gen.shop.v1.greeter_pb import HelloReply
from .words import GREETING


class Greeter(GreeterService):
    async def say_hello(self, request, call):
        if request.name == "crash":
            os._exit(3)
        if request.name == "arguments":
            return HelloReply(message=" ".join(sys.argv))
        if request.name == "environment":
            return HelloReply(message=os.environ.get("SHOP", "unset"))
        return HelloReply(message=f"{GREETING} {request.name}", pid=os.getpid())

    async def follow(self, request, call):
        while True:
            yield HelloReply(message=f"{GREETING} {request.name}")
            await asyncio.sleep(0.05)


@asynccontextmanager
async def hook(app):
    # hook begins
    yield
    # hook ends


def make():
    return App(
        name="shop", services=[Greeter()], hooks=[hook],
        servers=[HTTPServer("127.0.0.1:0"), GRPCServer("127.0.0.1:0")],
    )


app = make()


async def factory():
    await asyncio.sleep(0)
    return make()
"""

FILES = {
    "pyproject.toml": '[tool.kratos]\nprotos = ["api"]\nout = "shop/gen"\napp = "shop.main:app"\n',
    "api/shop/v1/greeter.proto": PROTO,
    "shop/__init__.py": "",
    "shop/main.py": MAIN,
    "shop/words.py": 'GREETING = "Hello"\n',
}


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, generated once."""
    root = tmp_path_factory.mktemp("template") / "a shop"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    generate(Project.load(root))
    return root


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """A copy of the project, for one test."""
    return Path(shutil.copytree(template, tmp_path / "a shop"))


class Running:
    """``kratos run`` in a process group of its own, with what it says on stderr."""

    def __init__(self, root: Path, *arguments: str, env: dict[str, str] | None = None, cwd: str = "") -> None:
        self.root = root
        self.said: list[str] = []
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            [Path(sys.executable).with_name("kratos"), "run", *arguments],
            cwd=root / cwd, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, **(env or {})},
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr:
            for line in self.process.stderr:
                said = [line.rstrip("\n")]
                if line.startswith("{") and '"endpoints"' in line:  # the line of the log in place of the banner
                    said += [*(f"  {url}" for url in json.loads(line)["endpoints"]), "  stop: Ctrl-C"]
                with self._news:
                    self.said += said
                    self._news.notify_all()

    def count(self, text: str) -> int:
        return sum(text in line for line in self.said)

    def wait(self, text: str, times: int = 1) -> str:
        """Waits until something was said so often and returns the last line of it."""
        with self._news:
            assert self._news.wait_for(lambda: self.count(text) >= times, PATIENCE), "\n".join(self.said)
            return [line for line in self.said if text in line][times - 1]

    def url(self, scheme: str = "http") -> str:
        line = self.wait(f"  {scheme}://")
        return next(word for word in line.split() if word.startswith(scheme))

    def serving(self) -> None:
        self.wait("stop: Ctrl-C")

    def connect(self) -> http.client.HTTPConnection:
        address = urlsplit(self.url())
        assert address.hostname
        return http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE)

    def hello(self, name: str = "kratos") -> dict[str, object]:
        connection = self.connect()
        try:
            connection.request("GET", f"/hello/{name}")
            return json.loads(connection.getresponse().read())  # type: ignore[no-any-return]  # the tests know it
        finally:
            connection.close()

    def message(self, name: str = "kratos") -> object:
        return self.hello(name)["message"]

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text()
        assert old in text
        (self.root / name).write_text(text.replace(old, new))

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        (os.killpg if group else os.kill)(self.process.pid, number)

    def end(self) -> int:
        """Waits for the end of the process and of all it said: the pipe ends with the last that holds it."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert not self._reader.is_alive(), "somebody still holds stderr"
        return code


def gone(pid: object) -> bool:
    """Waits for a process to end."""
    assert isinstance(pid, int)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{pid}/stat")  # nobody may be there to collect an orphan
        if stat.parent.is_dir() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


Run = Callable[..., Running]


@pytest.fixture
def run(project: Path) -> Iterator[Run]:
    """Starts ``kratos run`` in the project; whatever is left of it at the end is ended."""
    started: list[Running] = []

    def start(*arguments: str, env: dict[str, str] | None = None, cwd: str = "") -> Running:
        started.append(Running(project, *arguments, env=env, cwd=cwd))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.signal(signal.SIGTERM)
            try:
                each.process.wait(PATIENCE)
            finally:
                each.process.kill()
        each.end()
