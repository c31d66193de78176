"""A Go server for the whole run, a server of ours for each test, and clients for both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from interop.contract import InteropClient
from interop.peer import MISSING, SECONDS, GoClient, GoServer, build, has_go
from interop.service import Interop
from kratos.app import App, Server, Shutdown
from kratos.middleware import metadata, recovery
from kratos.transport.grpc import GRPCClient, GRPCServer
from kratos.transport.http import HTTPClient, HTTPServer


class OurServer:
    """A server of ours, and what it serves.

    Attributes:
        http: Where it speaks HTTP, ``host:port``.
        grpc: Where it speaks gRPC.
        native: Where it speaks gRPC by the native engine.
        service: What answers.
    """

    def __init__(self, app: App, service: Interop) -> None:
        self.http, self.grpc, self.native = (url.partition("://")[2] for url in app.info.endpoints)
        self.service = service

    def address(self, transport: str) -> str:
        """Returns where it speaks ``http``, ``grpc`` or ``native``."""
        return str(getattr(self, transport))


@pytest.fixture(scope="session")
def program() -> Path:
    """The Go program, built."""
    if not has_go():
        pytest.skip(MISSING)
    return build()


@pytest.fixture(scope="session")
def go_server(program: Path) -> Iterator[GoServer]:
    """The Go program, serving."""
    server = GoServer(program)
    yield server
    server.close()


@pytest.fixture(params=["http", "grpc"])
def transport(request: pytest.FixtureRequest) -> str:
    """Each transport in turn."""
    return str(request.param)


@asynccontextmanager
async def serving(timeout: float) -> AsyncIterator[OurServer]:
    """A server of ours on both transports, and on both engines of gRPC, with a limit for unary calls in seconds."""
    service = Interop()
    servers: list[Server] = [
        HTTPServer("127.0.0.1:0", timeout=timeout),
        GRPCServer("127.0.0.1:0", timeout=timeout),
        GRPCServer("127.0.0.1:0", timeout=timeout, engine="native"),
    ]
    middleware = [recovery(), metadata()]
    app = App(
        name="interop", services=[service], middleware=middleware, servers=servers, shutdown=Shutdown(finish=1, drain=0)
    )
    async with app:
        yield OurServer(app, service)


@pytest.fixture
async def our_server() -> AsyncIterator[OurServer]:
    """A server of ours that has time."""
    async with serving(SECONDS) as server:
        yield server


@pytest.fixture(params=["http", "grpc", "native"])
def go_client(program: Path, our_server: OurServer, request: pytest.FixtureRequest) -> GoClient:
    """The Go program, calling our server in each way."""
    transport = "http" if request.param == "http" else "grpc"
    return GoClient(program, transport, our_server.address(request.param))


@pytest.fixture
def go_web(program: Path, our_server: OurServer) -> GoClient:
    """The same over HTTP only."""
    return GoClient(program, "http", our_server.http)


@pytest.fixture(params=["grpc", "native"])
def go_rpc(program: Path, our_server: OurServer, request: pytest.FixtureRequest) -> GoClient:
    """The same over gRPC only."""
    return GoClient(program, "grpc", our_server.address(request.param))


def connect(transport: str, address: str) -> HTTPClient | GRPCClient:
    """Returns a client of ours."""
    client = HTTPClient if transport == "http" else GRPCClient
    return client(address, middleware=[metadata()], timeout=SECONDS)


@pytest.fixture
async def our_client(go_server: GoServer, transport: str) -> AsyncIterator[InteropClient]:
    """Our client, calling the Go program."""
    async with connect(transport, go_server.address(transport)) as conn:
        yield InteropClient(conn)


@pytest.fixture
async def our_web(go_server: GoServer) -> AsyncIterator[InteropClient]:
    """The same over HTTP only."""
    async with connect("http", go_server.http) as conn:
        yield InteropClient(conn)


@pytest.fixture
async def our_rpc(go_server: GoServer) -> AsyncIterator[InteropClient]:
    """The same over gRPC only."""
    async with connect("grpc", go_server.grpc) as conn:
        yield InteropClient(conn)
