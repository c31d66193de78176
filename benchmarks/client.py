"""Unary calls of our clients beside bare aiohttp and bare grpc.aio, which do the same.

    python benchmarks/client.py [--rounds 20] [--calls 1000] [--names 1000] [--only HTTP] [--json FILE]

All clients live in this process, on one event loop, and call servers in processes of their own. In each round every
variant makes some calls, one at a time and sixteen at a time, in an order that changes; so a machine that is busy slows
down all of them, and the ratios within one run are what counts. CPU is the time that all threads of this process were
running, divided by the calls; memory that was left over is collected before each slice and not in the next one's time.

What is compared: a message goes in and a message comes out, with a limit of two seconds. aiohttp's user formats a URL
or writes JSON by ``json.dumps``, and reads JSON by ``json.loads``; grpc.aio's has google's message runtime. *Full* is
with ``metadata()`` and ``access_log()`` as JSON to a file. About two minutes.

It needs the fixtures that the tests generate, and ``pip install protobuf``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Unpack

import aiohttp
import grpc
import grpc.aio
import uvloop
from measure import finish
from peers.google_messages import HelloReply as GoogleReply
from peers.google_messages import HelloRequest as GoogleRequest
from record import Figure, Results, Subject, Table
from roster import GRPC, WEB
from servers import Program, fleet, named
from tables import spread

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterClient
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest

from kratos import GRPCClient, HTTPClient, Middleware
from kratos.middleware import access_log, metadata
from kratos.operation import Http, Unary
from kratos.service import CallOptions, Stub

GOAL = 1.15  # times the CPU of the peer
FIGURES: tuple[Figure, ...] = ("rate", "cpu")
SECONDS = 2.0  # the limit of a call, which is the usual one of our clients
NEEDS = ("kratos-py", "protobuf-py", "aiohttp", "yarl", "multidict", "grpcio", "protobuf", "uvloop")

GREET = "/fixture.helloworld.v1.Greeter/SayHello"
POST = Unary(GREET, HelloRequest, HelloReply, http=(Http("POST", "/helloworld", body="*"),))

Call = Callable[[str], Awaitable[str]]
"""Greets somebody; returns the greeting."""


class PostingClient(Stub):
    """The greeter by the other of its bindings, written as the generator writes it."""

    async def say_hello(self, request: HelloRequest, **options: Unpack[CallOptions]) -> HelloReply:
        return await self._invoker.unary(POST, request, options, self._known)


class Variant(Subject):
    """One way to make a call.

    Attributes:
        peer: Whom it is measured against; itself for a peer.
        call: Makes it.
        concurrency: How many calls are under way at once.
    """

    def __init__(self, name: str, peer: str, call: Call, concurrency: int) -> None:
        super().__init__(name, ours=name != peer)
        self.peer = peer
        self.call = call
        self.concurrency = concurrency

    async def check(self) -> None:
        """Makes one call and looks at the reply: a client that fails fast must not win."""
        assert await self.call("kratos") == "Hello kratos", self.name

    async def measure(self, calls: int, names: list[str]) -> None:
        """Makes some calls, and writes down the figures of this round."""
        call, share = self.call, calls // self.concurrency

        async def some(first: int) -> None:
            for number in range(first, first + share):
                await call(names[number % len(names)])

        gc.collect()
        began, busy = time.perf_counter(), time.process_time()
        if self.concurrency == 1:
            await some(0)
        else:
            await asyncio.gather(*(some(one * share) for one in range(self.concurrency)))
        spent, took = time.process_time() - busy, time.perf_counter() - began
        made = share * self.concurrency
        self.rates.append(made / took)
        self.cpu.append(spent / made * 1e6)

    def forget(self) -> None:
        """Drops what was measured to warm up."""
        self.rates.clear()
        self.cpu.clear()


def bare_get(session: aiohttp.ClientSession, base: str) -> Call:
    async def call(name: str) -> str:
        async with session.get(f"{base}/helloworld/{name}") as response:
            return json.loads(await response.read())["message"]  # type: ignore[no-any-return]

    return call


def bare_post(session: aiohttp.ClientSession, base: str) -> Call:
    url = f"{base}/helloworld"
    headers = {"Content-Type": "application/json"}

    async def call(name: str) -> str:
        async with session.post(url, data=json.dumps({"name": name}).encode(), headers=headers) as response:
            return json.loads(await response.read())["message"]  # type: ignore[no-any-return]

    return call


def bare_grpc(channel: grpc.aio.Channel) -> Call:
    method = channel.unary_unary(
        GREET, request_serializer=GoogleRequest.SerializeToString, response_deserializer=GoogleReply.FromString
    )

    async def call(name: str) -> str:
        return (await method(GoogleRequest(name=name), timeout=SECONDS)).message  # type: ignore[no-any-return]

    return call


def ours(client: GreeterClient | PostingClient) -> Call:
    async def call(name: str) -> str:
        return (await client.say_hello(HelloRequest(name=name))).message

    return call


async def clients(stack: AsyncExitStack, http: int, native: int, folder: Path) -> dict[str, tuple[str, Call]]:
    """Opens all clients; returns their calls and whom they are measured against, by name."""
    base = f"http://127.0.0.1:{http}"
    session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)))
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{native}"))
    log = access_log(to=folder / "access.log", format="json")
    stack.push_async_callback(log.aclose)
    usual: list[Middleware] = [metadata({"x-md-local-from": "bench"}), log]
    web, web_full, rpc, rpc_full = [
        await stack.enter_async_context(client)
        for client in (
            HTTPClient(base),
            HTTPClient(base, middleware=usual),
            GRPCClient(f"127.0.0.1:{native}"),
            GRPCClient(f"127.0.0.1:{native}", middleware=usual),
        )
    ]
    get, post, unary = "HTTP GET: aiohttp", "HTTP POST: aiohttp", "gRPC: grpc.aio"
    return {
        get: (get, bare_get(session, base)),
        "HTTP GET: ours, bare": (get, ours(GreeterClient(web))),
        "HTTP GET: ours, full": (get, ours(GreeterClient(web_full))),
        post: (post, bare_post(session, base)),
        "HTTP POST: ours, bare": (post, ours(PostingClient(web))),
        "HTTP POST: ours, full": (post, ours(PostingClient(web_full))),
        unary: (unary, bare_grpc(channel)),
        "gRPC: ours, bare": (unary, ours(GreeterClient(rpc))),
        "gRPC: ours, full": (unary, ours(GreeterClient(rpc_full))),
    }


def verdict(one: Variant, peer: Variant) -> str:
    """Returns in words whether a client is as cheap as it should be."""
    ratio = one.ratio(peer, "cpu")
    outcome = "reached" if ratio <= GOAL else "**not reached**"
    return f"{one.name}, {one.concurrency} at once: at most {GOAL:g} x {peer.name} in CPU: {outcome}, {ratio:.2f}"


def table(variants: list[Variant]) -> Table:
    """Returns the figures, and whether ours without middleware are as cheap as they should be."""
    by_name = {(one.name, one.concurrency): one for one in variants}
    rows, verdicts = [], []
    for one in variants:
        peer = by_name[one.peer, one.concurrency]
        ratios = [f"{one.ratio(peer, figure):.2f}" for figure in FIGURES]
        cells = [one.name, str(one.concurrency), spread(one.rates), ratios[0], spread(one.cpu), ratios[1]]
        rows.append(cells)
        if one.name.endswith("bare"):
            verdicts.append(verdict(one, peer))
    columns = ["", "at once", "calls/s", "x", "CPU us/call", "x"]
    return Table("Calls of a client", columns, rows, verdicts)


async def run(wanted: argparse.Namespace, http: int, native: int, folder: Path) -> list[Variant]:
    names = [f"kratos-{number}" for number in range(wanted.names)]
    async with AsyncExitStack() as stack:
        calls = await clients(stack, http, native, folder)
        variants = [
            Variant(name, peer, call, concurrency)
            for concurrency in (1, 16)
            for name, (peer, call) in calls.items()
            if wanted.only in name
        ]
        for one in variants:
            await one.check()
            await one.measure(wanted.calls, names)
            one.forget()
        turns = list(variants)
        for _ in range(wanted.rounds):
            random.shuffle(turns)
            for one in turns:
                await one.measure(wanted.calls, names)
    return variants


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=1000, help="of each variant in a round")
    parser.add_argument("--names", type=int, default=1000, help="how many are greeted; 1 is one URL, known to caches")
    parser.add_argument("--only", default="", help="variants whose name has this in it: `HTTP`, `gRPC`, `POST`")
    parser.add_argument("--json", type=Path, help="a file for the results, which benchmarks/report.py reads")
    return parser.parse_args()


def main() -> None:
    wanted = asked()
    load = os.getloadavg()[0]
    web, rpc = WEB["fast", "bare"], GRPC["native", "bare"]
    with fleet([web, rpc]) as group:
        http, native = (server.port for server in group.servers)
        measured = uvloop.run(run(wanted, http, native, group.folder))
    itself = Program("", needs=NEEDS)
    rounds = f"{wanted.rounds} rounds of {wanted.calls} calls to {wanted.names} names"
    machine = f"{os.cpu_count()} cores shared with the servers, load before the first round {load:.1f}"
    about = [
        f"{rounds}, median [lowest-highest], ratios paired by round; {machine}.",
        f"{', '.join(named(itself, web, rpc))}.",
    ]
    finish(Results("client", about, tables=[table(measured)]), wanted)


if __name__ == "__main__":
    main()
