"""Unary calls of our clients beside bare aiohttp and bare grpc.aio, which do the same.

    python benchmarks/client.py [--rounds 20] [--calls 1000] [--names 1000] [--loop uvloop] [--json FILE]

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
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Unpack

import aiohttp
import grpc
import grpc.aio
import uvloop
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterClient
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest

from kratos import GRPCClient, HTTPClient, Middleware
from kratos.middleware import access_log, metadata
from kratos.operation import Http, Unary
from kratos.service import CallOptions, Stub

PEERS = Path(__file__).parent / "peers"
SECONDS = 2.0  # the limit of a call, which is the usual one of our clients
PACKAGES = ("kratos-py", "protobuf-py", "aiohttp", "yarl", "multidict", "grpcio", "protobuf", "uvloop")

GREET = "/fixture.helloworld.v1.Greeter/SayHello"
POST = Unary(GREET, HelloRequest, HelloReply, http=(Http("POST", "/helloworld", body="*"),))

Call = Callable[[str], Awaitable[str]]
"""Greets somebody; returns the greeting."""


class PostingClient(Stub):
    """The greeter by the other of its bindings, written as the generator writes it."""

    async def say_hello(self, request: HelloRequest, **options: Unpack[CallOptions]) -> HelloReply:
        return await self._invoker.unary(POST, request, options, self._known)


@dataclass
class Variant:
    """One way to make a call.

    Attributes:
        name: What the table calls it.
        peer: Whom it is measured against; itself for a peer.
        call: Makes it.
        concurrency: How many calls are under way at once.
        rates: Calls per second, by round.
        cpu: Microseconds of CPU per call, by round.
    """

    name: str
    peer: str
    call: Call
    concurrency: int
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    async def check(self) -> None:
        """Makes one call and looks at the reply: a client that fails fast must not win."""
        assert await self.call("kratos") == "Hello kratos", self.name

    async def measure(self, calls: int, names: list[str]) -> tuple[float, float]:
        """Makes some calls; returns calls per second and microseconds of CPU per call."""
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
        return made / took, spent / made * 1e6


def google_messages() -> tuple[Any, Any]:
    """Returns the request and the reply in google's runtime."""
    file = descriptor_pb2.FileDescriptorProto(name="greeter.proto", package="peer", syntax="proto3")
    text = descriptor_pb2.FieldDescriptorProto
    for name, member in (("HelloRequest", "name"), ("HelloReply", "message")):
        message = file.message_type.add(name=name)
        message.field.add(name=member, number=1, type=text.TYPE_STRING, label=text.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    request, reply = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"peer.{name}"))
        for name in ("HelloRequest", "HelloReply")
    )
    return request, reply


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
    request, reply = google_messages()
    method = channel.unary_unary(
        GREET, request_serializer=request.SerializeToString, response_deserializer=reply.FromString
    )

    async def call(name: str) -> str:
        return (await method(request(name=name), timeout=SECONDS)).message  # type: ignore[no-any-return]

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


@contextmanager
def serving(folder: Path, script: str, *arguments: str) -> Iterator[dict[str, int]]:
    """Runs a server and yields its ports; what it logs goes to a file."""
    command = [sys.executable, str(PEERS / script), *arguments]
    with (folder / f"{script}.log").open("w") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603 - our own script
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line:
                sys.exit(f"{script} did not start:\n{Path(log.name).read_text()}")
            yield json.loads(line)
        finally:
            server.kill()
            server.communicate()


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} [{min(values):,.0f}-{max(values):,.0f}]"


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Returns the median of the ratios, paired by round."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def rows(variants: list[Variant]) -> list[dict[str, Any]]:
    by_name = {(one.name, one.concurrency): one for one in variants}
    found = []
    for one in variants:
        peer = by_name[one.peer, one.concurrency]
        found.append(
            {
                "name": one.name,
                "concurrency": one.concurrency,
                "peer": one.peer,
                "calls_per_second": one.rates,
                "calls_per_second_ratio": ratio(one.rates, peer.rates),
                "cpu_us": one.cpu,
                "cpu_ratio": ratio(one.cpu, peer.cpu),
            }
        )
    return found


def table(found: list[dict[str, Any]]) -> str:
    lines = ["| | at once | calls/s | x peer | CPU us/call | x peer |", "|---|---:|---:|---:|---:|---:|"]
    for row in found:
        rates, cpu = spread(row["calls_per_second"]), spread(row["cpu_us"])
        ratios = row["calls_per_second_ratio"], row["cpu_ratio"]
        lines.append(f"| {row['name']} | {row['concurrency']} | {rates} | {ratios[0]:.2f} | {cpu} | {ratios[1]:.2f} |")
    return "\n".join(lines)


def versions() -> dict[str, str]:
    known = {"CPython": platform.python_version()}
    for package in PACKAGES:
        try:
            known[package] = version(package)
        except PackageNotFoundError:
            known[package] = "(from the source tree)"
    return known


async def run(options: argparse.Namespace, http: int, native: int, folder: Path) -> list[Variant]:
    names = [f"kratos-{number}" for number in range(options.names)]
    async with AsyncExitStack() as stack:
        calls = await clients(stack, http, native, folder)
        variants = [
            Variant(name, peer, call, concurrency)
            for concurrency in (1, 16)
            for name, (peer, call) in calls.items()
            if options.only in name
        ]
        for one in variants:
            await one.check()
            await one.measure(options.calls, names)
        order = list(variants)
        for _ in range(options.rounds):
            random.shuffle(order)
            for one in order:
                rate, cpu = await one.measure(options.calls, names)
                one.rates.append(rate)
                one.cpu.append(cpu)
    return variants


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Unary calls of our clients beside bare aiohttp and bare grpc.aio.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=1000, help="of each variant in a round")
    parser.add_argument("--names", type=int, default=1000, help="how many are greeted; 1 is one URL, known to caches")
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop")
    parser.add_argument("--only", default="", help="variants whose name has this in it: `HTTP`, `gRPC`, `POST`")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    return parser.parse_args()


def main() -> None:
    options = asked()
    runner = uvloop.run if options.loop == "uvloop" else asyncio.run
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        http = stack.enter_context(serving(folder, "kratos_web.py", "bare"))["fast"]
        native = stack.enter_context(serving(folder, "kratos_app.py", "bare", "native"))["grpc"]
        found = rows(runner(run(options, http, native, folder)))
    about = {
        "versions": versions(),
        "cores": os.cpu_count(),
        "load": load,
        **{name: getattr(options, name) for name in ("rounds", "calls", "names", "loop")},
    }
    print(", ".join(f"{name} {number}" for name, number in about["versions"].items()))
    print(f"{about['cores']} cores, load before {load:.1f}; {options.loop}; {options.names} names")
    print(f"{options.rounds} rounds of {options.calls} calls; median [lowest-highest], ratios paired by round\n")
    print(table(found))
    if options.json:
        options.json.write_text(json.dumps({**about, "rows": found}, indent=1))


if __name__ == "__main__":
    main()
