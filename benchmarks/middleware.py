"""What each layer and each middleware costs, in microseconds per call, without a socket.

    python benchmarks/middleware.py [rounds] [calls]

Bytes of a GET with twelve headers go into the protocol class of a connection, and a reply comes out at a transport that
throws it away; parser, fast lane, binding, codec and event loop are the real ones. The *raw handler* stands on the same
lane and the same binding and codec, but has no ``Call``, no deadline and no dispatch. Variants run in turn, in an order
that changes; each has as many slices as there are rounds. A slice counts the CPU of the whole process, the thread that
writes access lines included, and the least of a variant's slices is its cost: noise only ever adds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import uvloop
from uvicorn.server import ServerState

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest

from kratos.call import Call
from kratos.codec import DEFAULT_CODECS
from kratos.handler import Middleware
from kratos.metadata import Metadata
from kratos.middleware import access_log, metadata, recovery, timeout, validate
from kratos.transport.dispatch import Dispatcher
from kratos.transport.http.edge import Edge, Request, Response, Target
from kratos.transport.http.lane import Lane
from kratos.transport.http.protocol import HTTPProtocol, ServerConfig
from kratos.transport.http.proxies import Proxies
from kratos.transport.http.route import Match

HEADERS = (
    "host: 127.0.0.1:8000", "user-agent: bench", "accept: application/json", "cache-control: no-cache",
    "accept-language: en-GB,en;q=0.9", "cookie: session=8f14e45fceea467f95751f2f6b4b5c11",
    "x-request-id: 5f1d8b1e-6a7e-4b5c-9a44-2f6b4b5c1108", "x-forwarded-for: 203.0.113.7, 10.0.0.1",
    "x-forwarded-proto: https", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    "x-md-global-tenant: t1", "x-real-ip: 203.0.113.7",
)  # fmt: skip
REQUEST = "\r\n".join(("GET /helloworld/kratos HTTP/1.1", *HEADERS, "", "")).encode()
CONNECTIONS = 32


class Greeter(GreeterService):
    async def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:
        return HelloReply(message=f"Hello {request.name}")


class RawEdge(Edge):
    """Negotiates, binds, calls the handler and encodes: no call, no dispatch."""

    greeter = Greeter()

    async def answer(self, request: Request, match: Match[Target], body: bytes, messages: Any = None) -> Response:
        binding = match.target.binding
        accepted = self.codecs.for_reply(Metadata.from_raw(request.headers).get("accept")) or self.json
        message = binding.build(None, body, request.query, match.values)
        reply = await self.greeter.say_hello(message, None)  # type: ignore[arg-type]
        content_type, data = binding.reply.write(accepted, reply, self.json)
        return Response(200, [(b"content-type", content_type.encode("latin-1"))], data)


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
    """One chain of middleware on connections of its own."""

    def __init__(self, name: str, middleware: Iterable[Middleware], edge: Callable[..., Edge] = Edge) -> None:
        self.name = name
        self.middleware = list(middleware)
        self.slices: list[float] = []
        lane = Lane(edge(Dispatcher([Greeter()], self.middleware), DEFAULT_CODECS), max_body=4096, proxies=Proxies(()))
        config = ServerConfig(nobody, log_config=None, ws="none", interface="asgi3")
        config.lane = lane
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
            while any(protocol.busy for protocol, _transport in self.ends):
                await asyncio.sleep(0)
        for each in self.middleware:
            flush = getattr(each, "flush", None)
            if flush is not None:
                flush()
        spent = time.process_time() - start
        done = sum(transport.written for _, transport in self.ends) - before
        self.slices.append(spent / done * 1e6)


def nothing(request: Any) -> None:
    """A validator that accepts."""


async def main(rounds: int = 30, calls: int = 3200) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = str(Path(folder) / "access.log")
        variants = [
            Variant("raw handler", [], RawEdge),
            Variant("no middleware", []),
            Variant("recovery()", [recovery()]),
            Variant("metadata()", [metadata()]),
            Variant("access_log()", [access_log(to=log, format="json")]),
            Variant("timeout(5)", [timeout(5)]),
            Variant("validate(nothing)", [validate(nothing)]),
            Variant("recovery, access_log, metadata", [recovery(), access_log(to=log, format="json"), metadata()]),
        ]
        turns = list(variants)
        for number in range(rounds + 1):
            random.shuffle(turns)
            for one in turns:
                gc.collect()
                await one.slice(calls)
            if number == 0:  # that was to warm up
                for one in turns:
                    one.slices.clear()
    print(f"CPython {platform.python_version()}, {rounds} rounds of {calls} calls, microseconds of CPU per call")
    raw, bare = min(variants[0].slices), min(variants[1].slices)
    for one in variants:
        least = min(one.slices)
        over = (
            ""
            if one is variants[0]
            else f"   over {'raw' if one is variants[1] else 'bare'} {least - (raw if one is variants[1] else bare):5.2f}"
        )
        print(f"  {one.name:32} least {least:6.2f}   median {statistics.median(one.slices):6.2f}{over}")


if __name__ == "__main__":
    uvloop.run(main(*(int(argument) for argument in sys.argv[1:])))
