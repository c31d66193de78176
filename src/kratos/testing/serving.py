"""One call to serve a service in a test: in memory, or over a real socket."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias

from kratos.app import App, Server, Shutdown
from kratos.call import AppInfo
from kratos.codec.base import Codec
from kratos.codec.proto import ProtoCodec
from kratos.handler import Middleware
from kratos.service import Service
from kratos.testing.memory import MemoryChannel
from kratos.transport.client import Client
from kratos.transport.dispatch import Dispatcher
from kratos.transport.resolve import Single

__all__ = ["serve"]


@asynccontextmanager
async def serve(
    *services: Service,
    transport: Literal["memory", "http", "grpc"] = "memory",
    middleware: Iterable[Middleware] = (),
    client_middleware: Iterable[Middleware] = (),
    codec: Codec | None = None,
    timeout: float | None = 10.0,
    client_timeout: float | None = 2.0,
    engine: Literal["grpcio", "native"] = "grpcio",
) -> AsyncGenerator[Client, None]:
    """Serves services and yields a connection to them.

    In memory, every message passes through the codec in both directions, every call runs in a task of its own on the
    server side, deadlines and cancellation reach across: what differs from a socket is only the socket.

    Args:
        services: What to serve.
        transport: ``memory``, or a real server on a free port of this machine: ``http`` or ``grpc``.
        middleware: The server's chain.
        client_middleware: The client's chain.
        codec: How messages cross; if not given, JSON over HTTP and binary protobuf otherwise.
        timeout: The server's limit for a unary call, in seconds.
        client_timeout: The client's limit for a unary call, in seconds.
        engine: What carries the gRPC server.

    Example:
        ``async with serve(Greeter()) as conn: await GreeterClient(conn).say_hello(HelloRequest(name="a"))``
    """
    if transport == "memory":
        dispatcher = Dispatcher(services, middleware, timeout=timeout, app=AppInfo(name="test"))
        channels = Single(MemoryChannel(dispatcher, codec or ProtoCodec()))
        try:
            async with Client(channels, middleware=client_middleware, timeout=client_timeout) as client:
                yield client
        finally:
            dispatcher.close()
        return
    server, connect = _http(timeout, codec) if transport == "http" else _grpc(timeout, engine)
    app = App(
        name="test", services=services, middleware=middleware, servers=[server], shutdown=Shutdown(finish=1, drain=0)
    )
    async with app, connect(app.info.endpoints[0], client_middleware, client_timeout) as client:
        yield client


_Connect: TypeAlias = Callable[[str, Iterable[Middleware], float | None], Client]


def _http(timeout: float | None, codec: Codec | None) -> tuple[Server, _Connect]:
    # The rooms are entered on demand: a test in memory loads no HTTP library and no grpcio.
    from kratos.transport.http.client import HTTPClient  # noqa: PLC0415 - loaded on demand
    from kratos.transport.http.server import HTTPServer  # noqa: PLC0415 - loaded on demand

    def connect(url: str, middleware: Iterable[Middleware], limit: float | None) -> Client:
        return HTTPClient(url, middleware=middleware, timeout=limit, codec=codec)

    return HTTPServer("127.0.0.1:0", timeout=timeout), connect


def _grpc(timeout: float | None, engine: Literal["grpcio", "native"]) -> tuple[Server, _Connect]:
    from kratos.transport.grpc.client import GRPCClient  # noqa: PLC0415 - loaded on demand
    from kratos.transport.grpc.server import GRPCServer  # noqa: PLC0415 - loaded on demand

    def connect(url: str, middleware: Iterable[Middleware], limit: float | None) -> Client:
        return GRPCClient(url, middleware=middleware, timeout=limit)

    return GRPCServer("127.0.0.1:0", timeout=timeout, engine=engine), connect
