"""The HTTP server: the ASGI front on uvicorn, inside our own life cycle."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator, Iterable

import uvicorn

from kratos.call import AppInfo
from kratos.codec import DEFAULT_CODECS
from kratos.codec.base import CodecSet
from kratos.handler import Middleware
from kratos.service import Service
from kratos.transport.dispatch import Dispatcher
from kratos.transport.http.asgi import ASGIFront
from kratos.transport.http.edge import Edge
from kratos.transport.listen import Address, listen

__all__ = ["HTTPServer"]


class HTTPServer:
    """Serves the HTTP bindings of unary operations.

    Args:
        address: ``host:port``; port 0 takes a free one.
        services: Further services, beside the app's.
        middleware: Further middleware, inside of the app's.
        codecs: The encodings it speaks; the first one is the default.
        timeout: Seconds for a call; None is no limit. A client may ask for less by ``x-request-timeout``.
        max_body: The largest request body, in bytes.

    Raises:
        ValueError: The address is not ``host:port``.
    """

    def __init__(
        self,
        address: str = "127.0.0.1:8000",
        *,
        services: Iterable[Service] = (),
        middleware: Iterable[Middleware] = (),
        codecs: CodecSet = DEFAULT_CODECS,
        timeout: float | None = 10.0,
        max_body: int = 4 * 1024 * 1024,
    ) -> None:
        self._address = Address.parse(address)
        self._services = tuple(services)
        self._middleware = tuple(middleware)
        self._codecs = codecs
        self._timeout = timeout
        self._max_body = max_body
        self._app: ASGIFront | None = None
        self._server: _Uvicorn | None = None
        self._socket: socket.socket | None = None
        self._clockwork: asyncio.Task[None] | None = None

    def mount(self, services: Iterable[Service], middleware: Iterable[Middleware], app: AppInfo) -> None:
        """Compiles routes and chains; the app calls it before ``start``.

        Raises:
            ValueError: A route cannot be served; the message names it.
        """
        dispatcher = Dispatcher(
            (*services, *self._services), (*middleware, *self._middleware), timeout=self._timeout, app=app
        )
        self._app = ASGIFront(Edge(dispatcher, self._codecs), max_body=self._max_body)

    @property
    def endpoint(self) -> str:
        """The URL it answers at, with the real port once it has started."""
        return f"http://{self._address.bound(self._socket)}"

    @property
    def summary(self) -> str:
        """The time limit, for the banner."""
        return "no time limit" if self._timeout is None else f"calls up to {self._timeout:g} s"

    async def start(self) -> None:
        """Listens; returns as soon as connections are accepted.

        Raises:
            OSError: The address cannot be had; the message says why.
            RuntimeError: It was not mounted.
        """
        if self._app is None:
            raise RuntimeError("mount() comes before start(): pass the server to an App")
        config = uvicorn.Config(
            self._app, lifespan="off", log_config=None, access_log=False, http="httptools", ws="none", loop="none"
        )
        config.load()
        self._server = _Uvicorn(config)
        self._server.lifespan = config.lifespan_class(config)
        self._socket = listen(self._address)
        await self._server.startup(sockets=[self._socket])
        self._clockwork = asyncio.create_task(self._server.main_loop(), name="kratos http clockwork")

    async def stop(self, timeout: float | None = None) -> None:
        """Stops accepting, finishes what is under way, and cancels what is not done after ``timeout`` seconds."""
        if self._server is None or self._clockwork is None:
            return
        server, self._server = self._server, None
        server.config.timeout_graceful_shutdown = None if timeout is None else max(1, round(timeout))
        server.should_exit = True
        await self._clockwork
        await server.shutdown(sockets=[] if self._socket is None else [self._socket])


class _Uvicorn(uvicorn.Server):
    """uvicorn without its hands on the process: signals belong to the app."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
