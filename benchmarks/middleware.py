"""What each layer and each middleware costs, in microseconds per call, without a socket.

    python benchmarks/middleware.py [rounds] [calls]

Bytes of a GET with twelve headers go into the protocol class of a connection, and a reply comes out at a transport that
throws it away; parser, fast lane, binding, codec and event loop are the real ones. The *raw handler* stands on the same
parser, binding and codec, but nothing finds a route, makes a ``Call``, watches a deadline or dispatches. Variants run
in turn, in an order that changes; each has as many slices as there are rounds. A slice counts the CPU of the whole
process, with the thread that writes access lines, and the least of a variant's slices is its cost: noise only adds.

It needs the fixtures that the tests generate.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import uvloop
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from uvicorn.server import ServerState

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest

from kratos.call import Call, Peer
from kratos.codec import DEFAULT_CODECS
from kratos.handler import Middleware
from kratos.metrics import PrometheusMeter
from kratos.middleware import access_log, metadata, metrics, recovery, timeout, tracing, validate
from kratos.transport.dispatch import Dispatcher
from kratos.transport.http.edge import Edge, Header, Request, Response, Target
from kratos.transport.http.lane import Lane, Turn
from kratos.transport.http.protocol import HTTPProtocol
from kratos.transport.http.proxies import Proxies
from kratos.transport.http.route import Match
from kratos.transport.http.settings import ServerConfig

HEADERS = (
    "host: 127.0.0.1:8000", "user-agent: bench", "accept: application/json", "cache-control: no-cache",
    "accept-language: en-GB,en;q=0.9", "cookie: session=8f14e45fceea467f95751f2f6b4b5c11",
    "x-request-id: 5f1d8b1e-6a7e-4b5c-9a44-2f6b4b5c1108", "x-forwarded-for: 203.0.113.7, 10.0.0.1",
    "x-forwarded-proto: https", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    "x-md-global-tenant: t1", "x-real-ip: 203.0.113.7",
)  # fmt: skip
PATH = "/helloworld/kratos"
REQUEST = "\r\n".join((f"GET {PATH} HTTP/1.1", *HEADERS, "", "")).encode()
CONNECTIONS = 32


class Greeter(GreeterService):
    async def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:
        return HelloReply(message=f"Hello {request.name}")


class RawEdge(Edge):
    """Negotiates, binds, calls the handler and encodes."""

    greeter = Greeter()

    async def answer(self, request: Request, match: Match[Target], body: bytes, messages: Any = None) -> Response:
        binding = match.target.binding
        accepted = self.codecs.for_reply(dict(request.headers).get(b"accept")) or self.json
        message = binding.build(None, body, request.query, match.values)
        reply = await self.greeter.say_hello(message, None)  # type: ignore[arg-type]
        content_type, data = binding.reply.write(accepted, reply, self.json)
        return Response(200, [(b"content-type", content_type.encode("latin-1"))], data)


class RawLane(Lane):
    """Knows where every request goes."""

    known: Match[Target]

    def enter(self, method: bytes, url: bytes, headers: Sequence[Header], peer: Peer) -> Turn:
        return Turn(Request(method.decode(), url.decode(), "", headers, peer), self.known)


def raw_lane(dispatcher: Dispatcher) -> Lane:
    edge = RawEdge(dispatcher, DEFAULT_CODECS)
    lane = RawLane(edge, proxies=Proxies(()))
    lane.known = edge.router.match("GET", PATH)
    return lane


def usual_lane(dispatcher: Dispatcher) -> Lane:
    return Lane(Edge(dispatcher, DEFAULT_CODECS), proxies=Proxies(()))


async def nobody(scope: Any, receive: Any, send: Any) -> None:
    """Stands for the application that the lane falls back to."""
    raise AssertionError("this was to go by the lane")


class Nowhere(asyncio.Transport):
    """Counts replies."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 52114), "sockname": ("127.0.0.1", 8000)})
        self.written = 0

    def write(self, data: Any) -> None:
        if data.startswith(b"HTTP/1.1 "):  # a front may send the body by itself
            assert data.startswith(b"HTTP/1.1 200"), data
            self.written += 1

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


class Variant:
    """One chain of middleware, on connections of its own.

    Attributes:
        name: What the table calls it.
        goal: How many microseconds it should cost at most.
        slices: What a call took, by round.
    """

    def __init__(
        self,
        name: str,
        *middleware: Middleware,
        goal: float | None = None,
        lane: Callable[[Dispatcher], Lane] = usual_lane,
    ) -> None:
        self.name = name
        self.goal = goal
        self.middleware = middleware
        self.slices: list[float] = []
        config = ServerConfig(nobody, log_config=None, ws="none", interface="asgi3")
        config.lane = lane(Dispatcher([Greeter()], middleware))
        config.load()
        state = ServerState()
        state.default_headers = [(b"date", b"Thu, 26 Nov 2026 12:00:00 GMT"), (b"server", b"uvicorn")]
        self.ends: list[tuple[HTTPProtocol, Nowhere]] = []
        for _ in range(CONNECTIONS):
            protocol, transport = HTTPProtocol(config, state, {}, asyncio.get_running_loop()), Nowhere()
            protocol.connection_made(transport)
            self.ends.append((protocol, transport))

    async def slice(self, calls: int) -> None:
        """Has so many calls answered and writes down what one took."""
        before = sum(transport.written for _, transport in self.ends)
        start = time.process_time()
        for _ in range(calls // CONNECTIONS):
            for protocol, _transport in self.ends:
                protocol.data_received(REQUEST)
            while any(protocol.busy for protocol, _transport in self.ends):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        for each in self.middleware:
            flush = getattr(each, "flush", None)
            if flush is not None:
                flush()
        spent = time.process_time() - start
        done = sum(transport.written for _, transport in self.ends) - before
        self.slices.append(spent / done * 1e6)


def nothing(request: Any) -> None:
    """A check that everything passes."""


class Nothing(SpanExporter):
    """Takes spans and forgets them."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def variants(folder: str) -> list[Variant]:
    """Returns what is measured: the floor, what stands on it, and what stands on that."""
    log = str(Path(folder) / "access.log")
    records = logging.getLogger("kratos.access")
    records.addHandler(logging.FileHandler(Path(folder) / "records.log"))
    records.propagate = False
    records.setLevel(logging.INFO)
    spans = TracerProvider(shutdown_on_exit=False)
    spans.add_span_processor(SimpleSpanProcessor(Nothing()))
    return [
        Variant("a raw handler", lane=raw_lane),
        Variant("routing, `Call`, dispatch", goal=8.0),
        Variant("`recovery()`", recovery(), goal=1.0),
        Variant("`metadata()`, one value", metadata(), goal=1.5),
        Variant("`metadata()`, nothing to collect", metadata(prefix="x-none-")),
        Variant("`access_log()`, JSON to a file", access_log(to=log, format="json"), goal=5.0),
        Variant("`access_log(records=True)`, `logging` to a file", access_log(records=True)),
        Variant("`metrics()`", metrics(PrometheusMeter()), goal=1.5),
        Variant("`timeout(5)`", timeout(5)),
        Variant("`validate(check)`, which does nothing", validate(nothing)),
        Variant("`tracing()`, a trace that is not recorded", tracing(spans), goal=7.0),
        Variant("`tracing(sample=0)`, no trace before", tracing(spans, sample=0.0, trusted=False), goal=7.0),
        Variant("`tracing()`, recorded, to an exporter that does nothing", tracing(spans, trusted=False)),
        Variant(
            "`recovery()`, `access_log()`, `metadata()`", recovery(), access_log(to=log, format="json"), metadata()
        ),
    ]


def table(measured: Sequence[Variant]) -> str:
    """Returns the figures as Markdown: what the second costs over the first, and all others over the second."""
    rows = ["| | least | median | costs | goal |", "|---|---:|---:|---:|---|"]
    floor, bare, *_ = (min(one.slices) for one in measured)
    for one in measured:
        least, cost, goal = min(one.slices), "", ""
        if one is not measured[0]:
            over = least - (floor if one is measured[1] else bare)
            cost = f"{over:.1f}"
            if one.goal is not None:
                goal = f"{one.goal:g}: {'reached' if over <= one.goal else '**not reached**'}"
        rows.append(f"| {one.name} | {least:.1f} | {statistics.median(one.slices):.1f} | {cost} | {goal} |")
    return "\n".join(rows).replace("|  |", "| |").replace("|  |", "| |")


async def main(rounds: int = 30, calls: int = 3200) -> None:
    with tempfile.TemporaryDirectory() as folder:
        measured = variants(folder)
        turns = list(measured)
        for number in range(rounds + 1):
            random.shuffle(turns)
            for one in turns:
                gc.collect()
                await one.slice(calls)
            if number == 0:  # that was to warm up
                for one in turns:
                    one.slices.clear()
    python = platform.python_version()
    print(f"CPython {python}, {rounds} rounds of {calls} calls; microseconds of CPU per call.\n\n{table(measured)}")


if __name__ == "__main__":
    uvloop.run(main(*(int(argument) for argument in sys.argv[1:])))
