"""The gRPC server, on the engine of one's choice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final, Literal

from kratos.call import AppInfo
from kratos.development import in_development
from kratos.handler import Middleware
from kratos.live import Live, live
from kratos.operation import AnyOperation
from kratos.service import Service
from kratos.transport.deadline import Seconds, in_words
from kratos.transport.dispatch import Dispatcher
from kratos.transport.grpc.admission import Admission
from kratos.transport.grpc.engine import Engine, GrpcioEngine
from kratos.transport.grpc.handlers import Handlers, identified_peer
from kratos.transport.grpc.health import Health
from kratos.transport.grpc.native import NativeEngine, unserved
from kratos.transport.grpc.options import DEFAULT_KEEPALIVE, DEFAULT_LIMITS, KeepAlive, Limits, server_options
from kratos.transport.grpc.own import OwnService, sorted_out
from kratos.transport.grpc.reflection import Reflection
from kratos.transport.listen import Addressed
from kratos.transport.routes import Route
from kratos.transport.tls import TLS

__all__ = ["GRPCServer"]

logger = logging.getLogger("kratos.grpc")

_FIXED: Final = ("max_metadata", "max_streams")
"""The limits that an engine is told when it starts."""


class GRPCServer(Addressed):
    """Serves operations of all four kinds over gRPC.

    Args:
        address: ``host:port``, where port 0 takes a free one; or a Unix socket, ``unix:/run/shop.sock?mode=660``.
        services: Further services, beside the app's.
        middleware: Further middleware, inside of the app's.
        timeout: Seconds for a unary call; None is no limit, a live one counts for calls that begin after a change.
            Streams have none. A client may ask for less by ``grpc-timeout``, on streams too.
        threads: How many plain ``def`` methods may run at a time.
        limits: What a client may ask of this server at most. Of live ones ``max_calls`` counts for calls that begin
            after it has changed and ``max_message`` for messages that come after it, up to what it was at the start
            where grpcio reads them; the others are those of the start, and the log says so when they change.
        keepalive: How dead connections are found, and how long connections live.
        tls: Its certificate, and whom clients must be vouched for by. A certificate that is renewed in its files is
            taken by the next connection; what else changes there needs a new start.
        compress_over: Replies of more bytes are compressed (gzip, else deflate) for clients that accept it; None is
            never. Compressed requests are always read.
        engine: ``grpcio``, or ``native``, which takes a fraction of the CPU for unary calls and streamed replies. That
            needs ``kratos-py[native]``, cannot do all that grpcio can, and is for clients you trust: docs/grpc.md.

    Attributes:
        middleware: What it was given, beside the app's.

    Raises:
        ValueError: The address is none, TLS is wanted on a Unix socket, or the engine cannot do what an option asks
            for.
    """

    def __init__(
        self,
        address: str = "127.0.0.1:9000",
        *,
        services: Iterable[Service] = (),
        middleware: Iterable[Middleware] = (),
        timeout: Seconds = 10.0,
        threads: int = 40,
        limits: Limits | Live[Limits] = DEFAULT_LIMITS,
        keepalive: KeepAlive = DEFAULT_KEEPALIVE,
        tls: TLS | None = None,
        compress_over: int | None = None,
        engine: Literal["grpcio", "native"] = "grpcio",
    ) -> None:
        super().__init__(address, tls)
        self._limits = live(limits)
        self._first = self._limits.value
        self._make = _engine(engine, self._limits, keepalive, tls, compress_over)
        self._name = engine
        self._tls = tls
        self._services = tuple(services)
        self.middleware = tuple(middleware)
        self._timeout = timeout
        self._threads = threads
        self._own: tuple[OwnService, ...] = ()
        self._dispatcher: Dispatcher | None = None
        self._engine: Engine | None = None
        self._unobserve: Callable[[], None] | None = None

    def mount(self, services: Iterable[Service], middleware: Iterable[Middleware], app: AppInfo) -> None:
        """Compiles the chains; the app calls it before ``start``.

        Raises:
            ValueError: Two services implement the same operation.
        """
        usual = [Health(), Reflection()] if in_development() else [Health()]
        users, self._own = sorted_out((*services, *self._services), usual)
        dispatcher = Dispatcher(
            users,
            (*middleware, *self.middleware),
            timeout=self._timeout,
            threads=self._threads,
            app=app,
            own=self._own,
        )
        for service in self._own:
            service.attach((*users, *self._own), app)
        self._dispatcher = dispatcher
        self._engine = self._make(dispatcher)

    @property
    def endpoint(self) -> str:
        """The URL it answers at, with the real port once it has started."""
        return self._address.url("grpc" if self._tls is None else "grpcs")

    @property
    def routes(self) -> tuple[Route, ...]:
        """What it serves, and the limits that count there; its own services come last. Nothing before it is mounted."""
        dispatcher = self._dispatcher
        if dispatcher is None:
            return ()
        served = [
            Route(
                operation=endpoint.operation,
                method="",
                path=name,
                body="*",
                timeout=dispatcher.limit(endpoint),
                max_message=self._largest(endpoint.operation),
            )
            for name, endpoint in dispatcher.endpoints.items()
            if not endpoint.own
        ]
        own = [Route(operation=None, method="", path=name) for name, each in dispatcher.endpoints.items() if each.own]
        return (*served, *own)

    @property
    def summary(self) -> str:
        """The time limit, for the banner, and the engine if it is not the usual one."""
        limit = in_words(self._timeout)
        return limit if self._name == "grpcio" else f"{limit}, {self._name} engine"

    async def start(self) -> None:
        """Listens; returns as soon as connections are accepted.

        Raises:
            OSError: The address cannot be had, or a certificate cannot be used; the message says why.
            RuntimeError: It was not mounted.
        """
        if self._engine is None:
            raise RuntimeError("mount() comes before start(): pass the server to an App")
        self._unobserve = self._unobserve or self._limits.observe(self._point_out)
        for service in self._own:
            service.open()
        self._address = await self._engine.start(self._address)

    async def stop(self, timeout: float | None = None) -> None:
        """Refuses new calls, finishes what is under way, and cancels what is not done after ``timeout`` seconds.

        Cancelled calls end as UNAVAILABLE at their clients; None is no limit. Calling it again does nothing.
        """
        if self._unobserve is not None:
            self._unobserve()
            self._unobserve = None
        for service in self._own:
            service.close()
        if self._engine is not None and self._dispatcher is not None:
            await self._engine.stop(timeout)
            self._dispatcher.close()

    def _largest(self, operation: AnyOperation) -> int:
        """Returns how large a request may be now: grpcio never takes more than it was told at its start."""
        now = self._limits.value.max_message
        read_by_grpcio = self._name == "grpcio" or operation.client_streams
        return min(now, self._first.max_message) if read_by_grpcio else now

    def _point_out(self, limits: Limits) -> None:
        """Says which limits have changed in vain."""
        fixed = [name for name in _FIXED if getattr(limits, name) != getattr(self._first, name)]
        if limits.max_message > self._first.max_message:
            fixed.insert(0, "max_message" if self._name == "grpcio" else "max_message of streamed requests")
        if fixed:
            logger.warning("%s: %s will count from the next start", self.endpoint, ", ".join(fixed))


def _engine(
    name: str, limits: Live[Limits], keepalive: KeepAlive, tls: TLS | None, compress_over: int | None
) -> Callable[[Dispatcher], Engine]:
    """Returns what makes the engine of a name.

    Raises:
        ValueError: There is none of that name, or it cannot do what an option asks for; the message names it.
    """
    if name == "grpcio":
        options = server_options(limits.value, keepalive, compress=compress_over is not None)
        peer = identified_peer if tls is not None and tls.ca is not None else None
        return lambda dispatcher: GrpcioEngine(
            Handlers(dispatcher, Admission(limits), compress_over=compress_over, peer=peer), options, tls
        )
    if name != "native":
        raise ValueError(f"engine {name!r} is not known: it is 'grpcio' or 'native'")
    refused = unserved(keepalive, tls, compress_over)
    if refused:
        raise ValueError(f"engine 'native' cannot do {', '.join(refused)}: leave it out, or use engine='grpcio'")
    return lambda dispatcher: NativeEngine(dispatcher, limits, keepalive)
