"""The gRPC server on grpcio's asyncio API."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

import grpc.aio

from kratos.call import AppInfo
from kratos.handler import Middleware
from kratos.service import Service
from kratos.transport.dispatch import Dispatcher
from kratos.transport.grpc.guard import new_server
from kratos.transport.grpc.handlers import Handlers, refuse
from kratos.transport.grpc.options import DEFAULT_KEEPALIVE, DEFAULT_LIMITS, KeepAlive, Limits, server_options
from kratos.transport.listen import Address, Addressed, claim, listen, permit
from kratos.transport.routes import Route

__all__ = ["GRPCServer"]

logger = logging.getLogger("kratos.grpc")

# What a cancelled handler has for cleaning up, and its connection for closing, beyond the limit of stop().
CLEANUP_SECONDS: Final = 1.0
# grpcio takes no "for ever": its None is "at once".
FOR_EVER_SECONDS: Final = 1e8


class GRPCServer(Addressed):
    """Serves operations of all four kinds over gRPC.

    Args:
        address: ``host:port``, where port 0 takes a free one; or a Unix socket, ``unix:/run/shop.sock?mode=660``.
        services: Further services, beside the app's.
        middleware: Further middleware, inside of the app's.
        timeout: Seconds for a unary call; None is no limit. Streams have none. A client may ask for less by
            ``grpc-timeout``, on streams too.
        threads: How many plain ``def`` methods may run at a time.
        limits: What a client may ask of this server at most.
        keepalive: How dead connections are found, and how long connections live.

    Raises:
        ValueError: The address is none.
    """

    def __init__(
        self,
        address: str = "127.0.0.1:9000",
        *,
        services: Iterable[Service] = (),
        middleware: Iterable[Middleware] = (),
        timeout: float | None = 10.0,
        threads: int = 40,
        limits: Limits = DEFAULT_LIMITS,
        keepalive: KeepAlive = DEFAULT_KEEPALIVE,
    ) -> None:
        super().__init__(address)
        self._services = tuple(services)
        self._middleware = tuple(middleware)
        self._timeout = timeout
        self._threads = threads
        self._limits = limits
        self._options = server_options(limits, keepalive)
        self._dispatcher: Dispatcher | None = None
        self._handlers: Handlers | None = None
        self._server: grpc.aio.Server | None = None

    def mount(self, services: Iterable[Service], middleware: Iterable[Middleware], app: AppInfo) -> None:
        """Compiles the chains; the app calls it before ``start``.

        Raises:
            ValueError: Two services implement the same operation.
        """
        dispatcher = Dispatcher(
            (*services, *self._services),
            (*middleware, *self._middleware),
            timeout=self._timeout,
            threads=self._threads,
            app=app,
        )
        self._dispatcher = dispatcher
        self._handlers = Handlers(dispatcher)

    @property
    def endpoint(self) -> str:
        """The URL it answers at, with the real port once it has started."""
        return self._address.url("grpc")

    @property
    def routes(self) -> tuple[Route, ...]:
        """What it serves, and the limits that count there; nothing before it is mounted."""
        dispatcher = self._dispatcher
        if dispatcher is None:
            return ()
        return tuple(
            Route(
                operation=endpoint.operation,
                method="",
                path=name,
                body="*",
                timeout=dispatcher.limit(endpoint),
                max_message=self._limits.max_message,
            )
            for name, endpoint in dispatcher.endpoints.items()
        )

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
        if self._handlers is None:
            raise RuntimeError("mount() comes before start(): pass the server to an App")
        server = new_server(self._handlers.methods, refuse, self._options)
        claim(self._address)  # grpcio takes the place of whoever serves there, without a word
        place = f"unix:{self._address.path}" if self._address.path else str(self._address)
        try:
            port = server.add_insecure_port(place)
        except RuntimeError:
            listen(self._address).close()  # grpcio does not say why it failed; the socket does
            raise
        permit(self._address)
        await server.start()
        self._server = server
        if not self._address.path:
            self._address = Address(self._address.host, port)

    async def stop(self, timeout: float | None = None) -> None:
        """Refuses new calls, finishes what is under way, and cancels what is not done after ``timeout`` seconds.

        Cancelled calls end as UNAVAILABLE at their clients; None is no limit. Calling it again does nothing.
        """
        server, self._server = self._server, None
        if server is None or self._handlers is None:
            return
        limit = FOR_EVER_SECONDS if timeout is None else timeout
        closing = asyncio.create_task(server.stop(limit + CLEANUP_SECONDS), name="kratos grpc closing")
        await asyncio.wait([closing], timeout=limit)
        left = await self._handlers.cancel(CLEANUP_SECONDS)
        await closing
        self._handlers.close()
        if left:
            logger.warning("%d calls did not end though they were cancelled %g s ago", left, CLEANUP_SECONDS)
