"""One service of a chain, in a process of its own.

python service.py NAME TRANSPORT LOG RATIO [NEXT]: serves all kinds of calls over http, grpc or native, writes access
lines to a file, and hands each call on to NEXT, a URL. Its address is the one line it prints.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient, KindsService
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from opentelemetry import trace

from kratos import App, Call, GRPCClient, GRPCServer, HTTPClient, HTTPServer, Shutdown
from kratos.app import Server
from kratos.contrib.otel import OpenTelemetry
from kratos.middleware import access_log, metadata, recovery, tracing
from kratos.transport.client import Client

NAME, TRANSPORT, LOG, RATIO, *NEXT = sys.argv[1:]

otel = OpenTelemetry()
spans = tracing(otel.tracers, sample=float(RATIO))
logger = logging.getLogger("shop")


class Link(KindsService):
    """Hands calls on, or answers."""

    next: KindsClient | None = None

    async def echo(self, request: Ping, call: Call) -> Pong:
        logger.warning("asked for %s", request.text)
        if self.next is None:
            return Pong(text=trace.format_trace_id(trace.get_current_span().get_span_context().trace_id))
        with otel.tracers.get_tracer("shop").start_as_current_span("own work"):
            return await self.next.echo(request)

    async def watch(self, request: Ping, call: Call) -> AsyncIterator[Pong]:
        if self.next is None:
            for number in range(request.count):
                yield Pong(text=request.text, count=number)
            return
        async with self.next.watch(request) as replies:
            async for reply in replies:
                yield reply


link = Link()


@asynccontextmanager
async def connected(app: App) -> AsyncGenerator[None, None]:
    if not NEXT:
        yield
        return
    client: type[Client] = HTTPClient if NEXT[0].startswith("http") else GRPCClient  # type: ignore[assignment]  # both
    async with client(NEXT[0], middleware=[metadata(), spans], timeout=60) as conn:  # type: ignore[arg-type]
        link.next = KindsClient(conn)
        yield


def server() -> Server:
    if TRANSPORT == "http":
        return HTTPServer("127.0.0.1:0", timeout=60)
    return GRPCServer("127.0.0.1:0", timeout=60, engine="native" if TRANSPORT == "native" else "grpcio")


@asynccontextmanager
async def announced(app: App) -> AsyncGenerator[None, None]:
    def tell(ready: bool) -> None:
        if ready:
            print(app.info.endpoints[0], flush=True)

    stop = app.info.readiness.observe(tell)
    yield
    stop()


app = App(
    name=NAME,
    version="1.2.3",
    services=[link],
    servers=[server()],
    middleware=[recovery(), metadata(), spans, access_log(to=LOG, format="json")],
    hooks=[otel, connected, announced],
    shutdown=Shutdown(hook=30),
)

if __name__ == "__main__":
    app.run()
