"""The HTTP server: the ASGI front on uvicorn's protocols, inside our own life cycle."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Any, Final, Literal, TypeAlias, cast, get_args

import uvicorn

from kratos.call import AppInfo
from kratos.codec import DEFAULT_CODECS
from kratos.codec.base import CodecSet
from kratos.development import in_development
from kratos.handler import Middleware
from kratos.live import Live, live
from kratos.openapi.describe import Info, document
from kratos.service import Service
from kratos.transport.deadline import Seconds, in_words
from kratos.transport.dispatch import Dispatcher
from kratos.transport.http.accept import accept
from kratos.transport.http.asgi import ASGIFront
from kratos.transport.http.cors import CORS, Policy
from kratos.transport.http.crossorigin import CrossOrigin
from kratos.transport.http.edge import Edge
from kratos.transport.http.extra import Extra, offered
from kratos.transport.http.format import Format, wrapping
from kratos.transport.http.lane import Lane
from kratos.transport.http.limits import Limits
from kratos.transport.http.mounts import ASGI, Lifespans, Mount
from kratos.transport.http.own import DOCS_PATH, OwnPages
from kratos.transport.http.peers import Forwarded
from kratos.transport.http.protocol import HTTPProtocol
from kratos.transport.http.proxies import Proxies
from kratos.transport.http.settings import ServerConfig
from kratos.transport.http.wsprotocol import WebSocketProtocol
from kratos.transport.listen import Addressed, listen, release
from kratos.transport.routes import Route
from kratos.transport.tls import TLS, RenewedContext

__all__ = ["HTTPServer"]


Engine: TypeAlias = Literal["fast", "asgi"]
"""How unary calls get to their handler."""

PING_SECONDS: Final = 20.0
"""How often WebSockets are pinged."""

_GRACE_SECONDS = 0.5
"""How long cancelled calls, and then connections with something left to send, have to end."""


class HTTPServer(Addressed):
    """Serves the HTTP bindings of operations: unary calls, events (SSE) and WebSockets.

    It also answers ``/healthz`` (200 while it runs) and ``/readyz`` (200 while the app is ready for calls, else 503),
    and in development (``KRATOS_ENV=development``) ``/openapi.json`` and ``/docs``, unless a service has these paths.

    Args:
        address: ``host:port``, where port 0 takes a free one; or a Unix socket, ``unix:/run/shop.sock?mode=660``. None:
            another server answers, with ``asgi``.
        services: Further services, beside the app's.
        middleware: Further middleware, inside of the app's.
        codecs: The encodings it speaks; the first one is the default. Streams are always JSON.
        timeout: Seconds for a unary call; None is no limit, a live one counts for calls that begin after a change.
            A client may ask for less by ``x-request-timeout``.
        limits: What a client may take; live ones count for requests that begin after they have changed.
        heartbeat: Seconds of silence after which a stream of events sends a sign of life.
        format: How replies look: options of JSON, an envelope, compression.
        routes: What it serves beside the contract: raw routes (``handle``) and ASGI applications (``mount``).
        threads: How many plain ``def`` methods may run at a time.
        cors: Which pages of other sites may call; None is none.
        proxies: Who is believed about the client's address, such as ``10.0.0.0/8``; ``unix:`` is whoever comes by the
            Unix socket.
        tls: Its certificate, and whom clients must be vouched for by. A certificate that is renewed in its files is
            taken within a second or two; what else changes there needs a new start.
        engine: How unary calls get to their handler: ``fast`` is straight from the parser, ``asgi`` by the way that all
            else goes. The answers are the same.

    Attributes:
        middleware: What it was given, beside the app's.

    Raises:
        ValueError: The address is none, ``heartbeat`` is not positive, a proxy is no address, TLS is wanted on a Unix
            socket, or there is no such engine.
    """

    def __init__(
        self,
        address: str | None = "127.0.0.1:8000",
        *,
        services: Iterable[Service] = (),
        middleware: Iterable[Middleware] = (),
        codecs: CodecSet = DEFAULT_CODECS,
        timeout: Seconds = 10.0,
        limits: Limits | Live[Limits] | None = None,
        heartbeat: float = 15.0,
        format: Format | None = None,
        routes: Iterable[Extra] = (),
        threads: int = 40,
        cors: CORS | None = None,
        proxies: Iterable[str] = (),
        tls: TLS | None = None,
        engine: Engine = "fast",
    ) -> None:
        if heartbeat <= 0:
            raise ValueError(f"heartbeat is {heartbeat!r}: it must be a positive number of seconds")
        if engine not in get_args(Engine):
            raise ValueError(f"engine is {engine!r}: it must be one of {', '.join(get_args(Engine))}")
        super().__init__("127.0.0.1:0" if address is None else address, tls)
        self._listens = address is not None
        self._cors = cors
        self._proxies = Proxies(proxies)
        self._tls = tls
        self._services = tuple(services)
        self.middleware = tuple(middleware)
        self._codecs = codecs
        self._timeout = timeout
        self._limits: Live[Limits] = live(limits or Limits())
        self._heartbeat = heartbeat
        self._format = format or Format()
        self._extras = tuple(routes)
        self._threads = threads
        self._lifespans = Lifespans([extra for extra in self._extras if isinstance(extra, Mount)])
        self._own = OwnPages()
        self._served: tuple[Service, ...] = ()
        self._info = AppInfo()
        self._engine: Engine = engine
        self._app: ASGI | None = None
        self._lane: Lane | None = None
        self._edge: Edge | None = None
        self._dispatcher: Dispatcher | None = None
        self._server: _Uvicorn | None = None
        self._socket: socket.socket | None = None
        self._clockwork: asyncio.Task[None] | None = None

    def mount(self, services: Iterable[Service], middleware: Iterable[Middleware], app: AppInfo) -> None:
        """Compiles routes and chains; the app calls it before ``start``.

        Raises:
            ValueError: A route cannot be served; the message names it.
        """
        served = (*services, *self._services)
        dispatcher = Dispatcher(
            (*served, offered(self._extras)),
            (*middleware, *self.middleware),
            timeout=self._timeout,
            threads=self._threads,
            app=app,
        )
        edge = Edge(dispatcher, self._codecs, format=self._format, limits=self._limits)
        self._dispatcher = dispatcher
        self._edge = edge
        self._served = served
        self._info = app
        self._own = OwnPages(ready=lambda: app.ready, document=self.document if in_development() else None)
        front = ASGIFront(edge, heartbeat=self._heartbeat, own=self._own)
        policy = None if self._cors is None else Policy(self._cors)
        self._app = front if policy is None else CrossOrigin(front, policy, front.methods)
        if self._proxies:
            self._app = Forwarded(self._app, self._proxies)
        if self._engine == "fast":
            self._lane = Lane(edge, proxies=self._proxies, policy=policy)

    @property
    def asgi(self) -> ASGI:
        """The ASGI application, for another server to run or for another application to mount.

        Limits on headers, time and connections are then that server's business. Hooks and registration begin and end
        with ``async with app``, which belongs into the lifespan of the other application.

        Raises:
            RuntimeError: It was not mounted.
        """
        if self._app is None:
            raise RuntimeError("the server is in no App yet: App(servers=[server]) comes first")
        return self._app

    def document(self, *, exact: bool = False) -> dict[str, Any]:
        """Returns the OpenAPI document of what it serves by the contract, as its own settings have it.

        Args:
            exact: Describe every value that can be on the wire, for tools that check bytes.

        Raises:
            RuntimeError: It was not mounted.
        """
        if self._edge is None:
            raise RuntimeError("the server is in no App yet: App(servers=[server]) comes first")
        info = Info(self._info.name or "API", self._info.version)
        wrapped = partial(wrapping, self._format.envelope)
        return document(self._served, info=info, codecs=self._edge.codecs, wrapping=wrapped, exact=exact)

    @property
    def endpoint(self) -> str:
        """The URL it answers at, with the real port once it has started; empty if another server answers."""
        if not self._listens:
            return ""
        return self._address.bound(self._socket).url("http" if self._tls is None else "https")

    @property
    def routes(self) -> tuple[Route, ...]:
        """What it serves, and the limits that count there; its own paths come last. Nothing before it is mounted."""
        edge = self._edge
        if edge is None:
            return ()
        served = [
            Route(
                operation=target.endpoint.operation,
                method=method,
                path=template.text,
                body=target.binding.body,
                websocket=target.upgrades,
                timeout=edge.dispatcher.limit(target.endpoint),
                max_message=None if target.passes else self._limits.value.max_body,
            )
            for method, template, target in edge.table
            if not target.upgrades or method in ("GET", "*")  # another verb is only told to open a WebSocket
        ]
        own = [Route(operation=None, method="GET", path=path) for path in self._own.paths if not edge.serves(path)]
        return (*served, *own)

    @property
    def summary(self) -> str:
        """The time limit, the engine and the page to try calls on, for the banner."""
        limit = in_words(self._timeout)
        said = f"{limit}, {self._engine} engine" if self._listens else limit
        return f"{said}, docs at {DOCS_PATH}" if DOCS_PATH in self._own.paths else said

    async def start(self) -> None:
        """Listens; returns as soon as connections are accepted.

        Raises:
            OSError: The address cannot be had, or a certificate cannot be used; the message says why.
            RuntimeError: It was not mounted.
        """
        if self._app is None:
            raise RuntimeError("mount() comes before start(): pass the server to an App")
        try:
            renewal = None if self._tls is None else RenewedContext(self._tls, ["http/1.1"])
        except ValueError as wrong:
            raise OSError(f"cannot listen on {self._address}: {wrong}") from wrong
        await self._lifespans.start()
        if not self._listens:
            return
        config = ServerConfig(
            self._app,
            http=HTTPProtocol,
            ws=WebSocketProtocol,
            ws_ping_interval=PING_SECONDS,
            ws_ping_timeout=None,
            ws_per_message_deflate=False,
            interface="asgi3",
            lifespan="off",
            loop="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        config.limits = self._limits
        config.lane = self._lane
        config.refusals = cast("Edge", self._edge).refusals
        config.load()
        self._server = _Uvicorn(config)
        self._server.lifespan = config.lifespan_class(config)
        self._server.renewal = renewal
        self._socket = listen(self._address)
        self._server.servers = [await accept(self._socket, config, self._server, renewal.context if renewal else None)]
        self._clockwork = asyncio.create_task(self._server.main_loop(), name="kratos http clockwork")

    async def stop(self, timeout: float | None = None) -> None:
        """Stops accepting, finishes what is under way, and cancels what is not done after ``timeout`` seconds.

        Idle connections are closed at once, answers still due say ``connection: close``. Streams are calls under way
        like any other: at the limit they end with the error ``SERVER_STOPPING``, so that clients know that there was
        more. None waits for as long as it takes.
        """
        server, clockwork = self._server, self._clockwork
        self._server = self._clockwork = None
        if server is not None and clockwork is not None:
            await self._drain(server, clockwork, timeout)
        await self._lifespans.stop()
        if self._dispatcher is not None:
            self._dispatcher.close()

    async def _drain(self, server: _Uvicorn, clockwork: asyncio.Task[None], timeout: float | None) -> None:
        for listener in server.servers:
            listener.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        release(self._address)
        await server.drain(timeout)
        clockwork.cancel()
        await asyncio.wait([clockwork])


class _Uvicorn(uvicorn.Server):
    """uvicorn without its hands on the process: signals belong to the app, stopping to ``HTTPServer``."""

    renewal: RenewedContext | None = None
    """The certificate, if there is one."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        """Looks after the connections, ten times a second as uvicorn calls it, once in fact."""
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in self._connections():
                connection.sweep(now)
            if self.renewal is not None:
                self.renewal.check()
        return await super().on_tick(counter)

    async def drain(self, timeout: float | None) -> None:
        """Ends all connections: idle ones now, the others when they are done or time is up."""
        config = cast("ServerConfig", self.config)
        config.stopping = True
        for connection in self._connections():
            connection.shutdown()
        await self._idle(timeout)
        for task in self.server_state.tasks:
            task.cancel()
        for connection in self._connections():  # what is not in that set; nothing is cancelled twice
            connection.cancel()
        await self._idle(_GRACE_SECONDS)
        config.closed = True
        for connection in self._connections():
            connection.transport.close()
        await self._gone(_GRACE_SECONDS)
        for connection in self._connections():
            connection.transport.abort()
        await self._gone(_GRACE_SECONDS)

    async def _idle(self, timeout: float | None) -> None:
        await _until(
            lambda: not self.server_state.tasks and not any(each.busy for each in self._connections()), timeout
        )

    async def _gone(self, timeout: float) -> None:
        await _until(lambda: not self.server_state.connections, timeout)

    def _connections(self) -> list[HTTPProtocol | WebSocketProtocol]:
        return cast("list[HTTPProtocol | WebSocketProtocol]", list(self.server_state.connections))


async def _until(done: Callable[[], bool], timeout: float | None) -> None:
    """Waits until something is so, or time is up."""
    try:
        async with asyncio.timeout(timeout):
            while not done():  # noqa: ASYNC110 - what it waits for are uvicorn's sets, which announce nothing
                await asyncio.sleep(0.02)
    except TimeoutError:
        pass
