"""Unix sockets: both servers and their clients, and the files that are left behind."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
import stat
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterService
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping
from roundtrip.service import Kinds
from unit.transport.http_server.support import running
from websockets.asyncio.client import unix_connect

from kratos import App, Call, GRPCClient, GRPCServer, HTTPClient, HTTPServer, Shutdown
from kratos.errors import ServiceUnavailable
from kratos.transport.http import Limits
from kratos.transport.listen import Address

NativeServer = partial(GRPCServer, engine="native")
NATIVE = pytest.mark.skipif(not find_spec("pygrpc_native"), reason="needs kratos-py[native]")
BOTH = pytest.mark.parametrize(
    ("server", "client"),
    [
        pytest.param(HTTPServer, HTTPClient, id="http"),
        pytest.param(GRPCServer, GRPCClient, id="grpc"),
        pytest.param(NativeServer, GRPCClient, marks=NATIVE, id="native"),
    ],
)
SERVERS = pytest.mark.parametrize(
    "server", [HTTPServer, GRPCServer, pytest.param(NativeServer, marks=NATIVE, id="native")]
)


@pytest.fixture
def path() -> Iterator[Path]:
    """A short one: these paths have at most 107 bytes."""
    with TemporaryDirectory(prefix="kratos") as folder:
        yield Path(folder) / "shop.sock"


@pytest.fixture(autouse=True)
def quiet_poller(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """grpc.aio's poller complains in the log when one process uses several event loops, as tests do."""
    with caplog.at_level(logging.CRITICAL, logger="asyncio"):
        yield


class Greeter(GreeterService):
    pass


def exists(path: Path) -> bool:
    return path.exists()


def write(path: Path, text: str) -> None:
    path.write_text(text)


def remove(path: Path) -> None:
    path.unlink()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def serving(*servers: Any, middleware: Any = ()) -> App:
    return App(
        name="shop", services=[Kinds()], servers=servers, middleware=middleware, shutdown=Shutdown(finish=2, drain=0)
    )


async def echo(client: Any) -> str:
    async with client:
        return (await KindsClient(client).echo(Ping(text="a"), timeout=20)).text


@BOTH
async def test_calls(path: Path, server: Any, client: Any) -> None:
    """Unary calls and streams, by the target that the server names itself; the file goes when the server does."""
    seen: list[str] = []

    async def watching(request: Any, call: Call, next: Any) -> Any:
        seen.append(call.peer.address)
        return await next(request, call)

    async with serving(server(f"unix:{path}"), middleware=[watching]) as app:
        (endpoint,) = app.info.endpoints
        assert endpoint == f"{'http' if server is HTTPServer else 'grpc'}+unix:{path}"
        async with client(endpoint) as connection:
            api = KindsClient(connection)
            assert (await api.echo(Ping(text="a"), timeout=20)).text
            async with api.chat() as stream:
                await stream.send(Ping(text="b"))
                assert (await anext(aiter(stream))).text
                await stream.done()
        assert await echo(client(f"unix:{path}"))
    assert set(seen) == {"unix:"}
    assert not exists(path)


async def test_the_banner(path: Path) -> None:
    """What a person can try is what works."""
    told: list[str] = []
    app = App(name="greeter", services=[Greeter()], servers=[HTTPServer(f"unix:{path}")])
    serving = asyncio.create_task(app.serve(announce=told.append))
    async with asyncio.timeout(20):
        while not told:
            await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
    await serving
    assert f"  try:  curl --unix-socket {path} http://localhost/helloworld/kratos\n" in told[0]


@BOTH
async def test_what_a_dead_server_left(path: Path, server: Any, client: Any) -> None:
    """The file of a server that is gone is replaced."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with serving(server(f"unix:{path}")):
        assert await echo(client(f"unix:{path}"))
    assert not exists(path)


@pytest.mark.parametrize("second", [HTTPServer, GRPCServer, pytest.param(NativeServer, marks=NATIVE, id="native")])
@BOTH
async def test_in_use(path: Path, server: Any, client: Any, second: Any) -> None:
    """A socket that somebody serves is not taken away from them; the error says who it is."""
    async with serving(server(f"unix:{path}")):
        with pytest.raises(OSError, match=rf"cannot listen on unix:{path}: process {os.getpid()} \(.*listens there"):
            async with serving(second(f"unix:{path}")):
                pass
        assert await echo(client(f"unix:{path}"))


@SERVERS
async def test_other_files(path: Path, server: Any) -> None:
    """A file that is no socket stays; a folder that is not there is named, and so is a path that is too long."""
    write(path, "precious")
    with pytest.raises(OSError, match="a file is there that is no socket"):
        async with serving(server(f"unix:{path}")):
            pass
    assert exists(path)
    with pytest.raises(OSError, match="there is no such folder"):
        async with serving(server(f"unix:{path.parent}/no/shop.sock")):
            pass
    with pytest.raises(OSError, match="path too long"):
        async with serving(server(f"unix:{path.parent}/{'x' * 120}")):
            pass


@SERVERS
async def test_mode(path: Path, server: Any) -> None:
    """The permissions are those that were asked for."""
    async with serving(server(f"unix:{path}?mode=660")) as app:
        assert mode(path) == 0o660
        assert app.info.endpoints[0].endswith(f"+unix:{path}")


async def test_a_successor_keeps_its_file(path: Path) -> None:
    """A server that stops late leaves the socket of the one that has taken its place."""
    first, second = HTTPServer(f"unix:{path}"), HTTPServer(f"unix:{path}")
    async with serving(first):
        remove(path)  # by whatever makes room for a successor
        successor = serving(second)
        await successor.__aenter__()
    try:
        assert await echo(HTTPClient(f"unix:{path}"))
    finally:
        await successor.__aexit__(None, None, None)
    assert not exists(path)


@BOTH
async def test_nobody_there(path: Path, server: Any, client: Any) -> None:
    """A client says whom it could not reach."""
    async with client(f"unix:{path}") as connection:
        with pytest.raises(ServiceUnavailable, match=str(path)) as failure:
            await KindsClient(connection).echo(Ping(), timeout=20)
    assert failure.value.reason == "CONNECTION_FAILED"


async def test_slow_clients(path: Path) -> None:
    """Those who take too long, and those who say nothing, are dealt with as over TCP."""
    limits = Limits(header_seconds=0.5, body_seconds=0.5, idle_seconds=0.5)
    async with running(address=f"unix:{path}", limits=limits) as it:
        async with await it.raw() as raw:
            await raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
            assert (await raw.answer()).status == 408
            assert await raw.ended()
        async with await it.raw() as silent, await it.raw() as raw:
            await raw.request("/echo/a")
            assert (await raw.answer()).status == 200
            assert await raw.ended()
            assert await silent.ended()


async def test_too_many_clients(path: Path) -> None:
    """Connections are counted."""
    async with running(address=f"unix:{path}", limits=Limits(max_connections=1)) as it, await it.raw() as raw:
        await raw.request("/echo/a")
        assert (await raw.answer()).status == 200
        assert (await it.ask("/echo/a")).status == 503


async def test_proxies_and_websockets(path: Path) -> None:
    """A proxy on the socket is believed once it is named; WebSockets are carried too."""
    async with running(address=f"unix:{path}", proxies=["unix:"]) as it:
        await it.ask("/echo/a", x_forwarded_for="203.0.113.9")
        await it.ask("/echo/a")
        async with unix_connect(str(path), "ws://shop/chat/blue") as chat:
            await chat.send('{"text": "a"}')
            await chat.recv()
        assert [call.peer.address for call in it.service.calls] == ["203.0.113.9", "unix:", "unix:"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is the judge here")
async def test_curl(path: Path) -> None:
    """curl calls through the socket."""
    async with running(address=f"unix:{path}"):
        process = await asyncio.create_subprocess_exec(
            "curl", "-sS", "--unix-socket", path, "http://shop/echo/a", stdout=asyncio.subprocess.PIPE
        )
        assert b'"a"' in (await process.communicate())[0]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/shop.sock", Address(path="/run/shop.sock")),
        ("unix:///run/shop.sock", Address(path="/run/shop.sock")),
        ("unix:/run/shop.sock?mode=0660", Address(path="/run/shop.sock", mode=0o660)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    """Every form is read, and written so that it is read again."""
    assert Address.parse(text) == address
    assert Address.parse(str(address)) == address
    assert Address.parse("unix:shop.sock").path == str(Path.cwd() / "shop.sock")


@pytest.mark.parametrize("text", ["unix:", "unix:/run/", "unix:/run/x?mode=999", "unix:/run/x?owner=me", "unix:\0x"])
def test_no_addresses(text: str) -> None:
    """What is no path is refused with an example."""
    with pytest.raises(ValueError, match="such as unix:/run/shop.sock"):
        HTTPServer(text)
