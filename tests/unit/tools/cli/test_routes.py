"""``kratos routes``: what is printed is what is enforced."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from commandline import Kratos
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterClient, GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest

from kratos.app import App, Server
from kratos.call import AppInfo, Call
from kratos.errors import Error, GatewayTimeout
from kratos.handler import Middleware, only, time_limit
from kratos.live import Live
from kratos.middleware import timeout
from kratos.operation import Http, Unary
from kratos.service import Service
from kratos.tools.cli.routetable import rows, text
from kratos.tools.codegen.project import Project
from kratos.transport.grpc import GRPCClient, GRPCServer
from kratos.transport.grpc.options import Limits as GRPCLimits
from kratos.transport.http import HTTPClient, HTTPServer
from kratos.transport.http.limits import Limits as HTTPLimits

NAME = "/fixture.helloworld.v1.Greeter/SayHello"


class Sleeper(GreeterService):
    """Never answers ``sleep``."""

    async def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:
        if request.name == "sleep":
            await asyncio.Event().wait()
        return HelloReply(message="x")


class Foreign:
    """A server of somebody's own, which tells nothing about routes."""

    endpoint = "amqp://127.0.0.1:5672"
    summary = "queue shop"

    def mount(self, services: Iterable[Service], middleware: Iterable[Middleware], app: AppInfo) -> None:
        """Takes nothing."""

    async def start(self) -> None:
        """Does nothing."""

    async def stop(self, timeout: float | None = None) -> None:
        """Does nothing."""


def servers() -> list[Server]:
    return [
        HTTPServer("127.0.0.1:0", timeout=0.3, limits=HTTPLimits(max_body=1000)),
        GRPCServer("127.0.0.1:0", timeout=0.4, limits=GRPCLimits(max_message=2000)),
    ]


def of(found: list[dict[str, Any]], scheme: str) -> dict[str, Any]:
    return next(row for row in found if row["server"].startswith(scheme) and row["operation"] == NAME)


async def failure_of(app: App, scheme: str, request: HelloRequest) -> tuple[Error, float]:
    """Returns how a call fails, and after which time."""
    connect = HTTPClient if scheme == "http" else GRPCClient
    url = next(url for url in app.info.endpoints if url.startswith(scheme))
    began = asyncio.get_running_loop().time()
    async with connect(url, timeout=20) as conn:
        with pytest.raises(Error) as failure:
            await GreeterClient(conn).say_hello(request)
    return failure.value, asyncio.get_running_loop().time() - began


@pytest.mark.parametrize("scheme", ["http", "grpc"])
@pytest.mark.parametrize(
    ("middleware", "shorter"), [([], False), ([only(NAME, timeout(0.2))], True), ([timeout(Live(5.0))], False)]
)
async def test_the_time_is_true(scheme: str, middleware: list[Middleware], shorter: bool) -> None:
    """A call ends at the time that is printed, whether the server's limit counts or that of a middleware."""
    app = App(name="t", services=[Sleeper()], servers=servers(), middleware=middleware)
    limit = of(rows(app), scheme)["timeout"]
    assert limit == (0.2 if shorter else {"http": 0.3, "grpc": 0.4}[scheme])
    async with app:
        failure, seconds = await failure_of(app, scheme, HelloRequest(name="sleep"))
    assert isinstance(failure, GatewayTimeout)
    assert failure.metadata["limit"] == ("method" if shorter else "server")
    assert seconds >= limit - 0.05


@pytest.mark.parametrize(("scheme", "key", "code"), [("http", "max_body", 413), ("grpc", "max_message", 429)])
async def test_the_size_is_true(scheme: str, key: str, code: int) -> None:
    """A message of more bytes than are printed is refused, and one of so many is not."""
    app = App(name="t", services=[Poster()], servers=servers())
    size = next(row for row in rows(app) if row["server"].startswith(scheme) and row["operation"])[key]
    overhead = len('{"name":""}') if scheme == "http" else 3
    async with app:
        connect = HTTPClient if scheme == "http" else GRPCClient
        url = next(url for url in app.info.endpoints if url.startswith(scheme))
        async with connect(url) as conn:
            fits = HelloRequest(name="x" * (size - overhead))
            assert (await conn.unary(POST, fits, {}, {})).message == "x"
            with pytest.raises(Error) as failure:
                await conn.unary(POST, HelloRequest(name=f"{fits.name}x"), {}, {})
    assert failure.value.code == code


POST = Unary("/t.Poster/Post", HelloRequest, HelloReply, http=(Http("POST", "/post", body="*"),), deprecated=True)
WILD = Unary(
    "/t.Poster/Wild", HelloRequest, HelloReply, http=(Http("*", "/wild"), Http("PUT", "/healthz", body="name"))
)
HIDDEN = Unary("/t.Poster/Hidden", HelloRequest, HelloReply)


class Poster(Service):
    """An operation with a body, and more."""

    __operations__ = (("post", POST), ("wild", WILD), ("hidden", HIDDEN))

    async def post(self, request: HelloRequest, call: Call) -> HelloReply:
        return HelloReply(message="x")

    wild = hidden = post


HEALTH = [f"/grpc.health.v1.Health/{method}" for method in ("Check", "List", "Watch")]


def test_rows() -> None:
    """Every binding of every server is a row; the server's own paths are those that no service has."""
    app = App(name="t", services=[Poster()], servers=[*servers(), Foreign()])
    found = rows(app)
    http = [(row["method"], row["path"], row["body"]) for row in found if row["server"].startswith("http")]
    assert http == [
        ("POST", "/post", "*"),
        ("*", "/wild", ""),
        ("PUT", "/healthz", "name"),
        ("GET", "/readyz", ""),
    ]
    assert found[0]["deprecated"] is True
    assert found[3]["operation"] is found[3]["max_body"] is None
    grpc = [row for row in found if row["server"].startswith("grpc")]
    assert [row["path"] for row in grpc if row["operation"]] == [POST.name, WILD.name, HIDDEN.name]
    assert {(row["method"], row["body"], row["max_message"]) for row in grpc[:3]} == {(None, "*", 2000)}
    assert [row["path"] for row in grpc[3:]] == HEALTH
    foreign = {"operation": None, "kind": None, "server": Foreign.endpoint, "summary": Foreign.summary}
    assert found[-1] == foreign
    assert json.loads(json.dumps(found)) == found


def test_text() -> None:
    """The same for people."""
    app = App(name="t", services=[Poster()], servers=[*servers(), Foreign()])
    assert list(text(app)) == [
        "t",
        "",
        "t.Poster",
        "  Post  unary, deprecated",
        "    http://127.0.0.1:0  0.3 s, 1000 bytes",
        "      POST   /post  body *",
        "    grpc://127.0.0.1:0  0.4 s, 2000 bytes",
        "  Wild  unary",
        "    http://127.0.0.1:0  0.3 s, 1000 bytes",
        "      ANY    /wild",
        "      PUT    /healthz  body name",
        "    grpc://127.0.0.1:0  0.4 s, 2000 bytes",
        "  Hidden  unary",
        "    grpc://127.0.0.1:0  0.4 s, 2000 bytes",
        "",
        "http://127.0.0.1:0  paths of its own",
        "      GET    /readyz",
        "",
        "grpc://127.0.0.1:0  paths of its own",
        *(f"      {path}" for path in HEALTH),
        "",
        "amqp://127.0.0.1:5672  queue shop",
    ]


def test_served_nowhere() -> None:
    """An operation that no server of the app can carry is told as such."""
    app = App(name="t", services=[Poster()], servers=[HTTPServer("127.0.0.1:0", timeout=None)])
    lines = list(text(app))
    assert lines[lines.index("  Hidden  unary") + 1].strip().startswith("served nowhere")
    assert "    http://127.0.0.1:0  no time limit, 4 MiB" in lines


def test_not_mounted() -> None:
    """A server that was not mounted serves nothing yet."""
    assert HTTPServer().routes == GRPCServer().routes == ()


async def test_own_paths_are_true() -> None:
    """What is listed as the server's own is what a client gets there."""
    app = App(name="t", services=[Poster()], servers=[HTTPServer("127.0.0.1:0")])
    own = [row["path"] for row in rows(app) if row["operation"] is None]
    async with app:
        for path, status in (("/healthz", b"405"), ("/readyz", b"200")):
            assert (path in own) is (status == b"200")
            host, port = app.info.endpoints[0].removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
            assert (await reader.read()).split()[1] == status
            writer.close()


def test_streams(kratos: Kratos, demo: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams have no limit of time; WebSockets are opened by GET, whatever the rule says."""
    monkeypatch.chdir(demo.root)
    monkeypatch.setattr(sys, "path", list(sys.path))
    ran = kratos("routes", "--json")
    assert (ran.code, ran.err) == (0, "")
    found = {row["operation"]: row for row in json.loads(ran.out) if row["server"].startswith("http")}
    assert found["/demo.v1.Talker/Collect"].items() >= {
        "kind": "client stream", "method": "GET", "path": "/collect", "websocket": True, "timeout": None
    }.items()  # fmt: skip
    assert found["/demo.v1.Talker/Chat"].items() >= {"kind": "bidi stream", "websocket": True, "body": "*"}.items()
    assert found["/demo.v1.Talker/Count"].items() >= {"kind": "server stream", "websocket": False}.items()
    shown = kratos("routes", "callable_demo.main:app").out
    assert "  Plain  unary\n    grpc://127.0.0.1:0  0.5 s, 4 MiB\n" in shown
    assert "      WS     /collect" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_broken_app(kratos: Kratos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the app fails with is told with its place."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "broken_routes_demo.py").write_text("\n1 / 0\n")
    ran = kratos("routes", "broken_routes_demo:app")
    assert (ran.code, ran.out) == (1, "")
    assert "broken_routes_demo.py:2: ZeroDivisionError" in ran.err
    (tmp_path / "empty_routes_demo.py").write_text("from kratos import App\napp = App(name='x')\n")
    assert kratos("routes", "empty_routes_demo") == (0, "x\n", "the app has no servers\n")
    assert kratos("routes", "empty_routes_demo", "--json").out == "[]\n"


def test_time_limits() -> None:
    """The shortest limit of those that are bound to an operation counts; what is no limit does not."""

    async def plain(request: Any, call: Call, next: Any) -> Any:
        return await next(request, call)

    assert time_limit([plain], POST) is None
    assert time_limit([], POST) is None
    assert time_limit([plain, timeout(2), only(POST.name, timeout(1)), only(WILD.name, timeout(0.1))], POST) == 1
