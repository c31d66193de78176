"""A server that we did not write, and a client of it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient

from kratos.transport.client import Client
from kratos.transport.http.channel import HTTPChannel
from kratos.transport.resolve import Single


@asynccontextmanager
async def foreign(
    handler: Callable[[web.Request], Awaitable[Any]], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serves every path with one handler, by aiohttp, and yields the URL."""
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{anything:.*}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def client_of(url: str, *, timeout: float | None = 5.0, **options: Any) -> AsyncIterator[Client]:
    """Connects to a URL by an HTTP channel."""
    async with Client(Single(HTTPChannel(url, **options)), timeout=timeout) as client:
        yield client


@asynccontextmanager
async def kinds(
    handler: Callable[[web.Request], Awaitable[Any]], *, timeout: float | None = 5.0, **options: Any
) -> AsyncIterator[KindsClient]:
    """Yields a client of the fixture service, which is served by ``handler``."""
    async with foreign(handler) as url, client_of(url, timeout=timeout, **options) as client:
        yield KindsClient(client)
