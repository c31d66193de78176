"""The two gRPC engines beside bare grpc.aio: unary calls and streamed replies over sockets.

    python benchmarks/engines.py [rounds] [seconds]

Made and read as ``unary.py``, whose words are used here: all servers alive, asked in turn in an order that changes,
figures paired by round. ``full`` has ``recovery()``, ``access_log()`` and ``metadata()``; every call has twelve
headers. A stream has 100 replies of some bytes, on 4 connections with 2 streams each; its figures are per message.
Linux only; about three minutes.

It needs h2load, ``pip install kratos-py[native]``, and the fixtures that the tests generate.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import grpc
from unary import H2LOAD, MESSAGE, PATH, Variant, serving, table, versions

WATCH = "/fixture.kinds.v1.Kinds/Watch"
REPLIES = 100
PING = b"\x0a\x06kratos\x10" + bytes([REPLIES])


def check_stream(one: Variant) -> None:
    """Reads one stream: a server that fails fast must not win."""
    with grpc.insecure_channel(f"127.0.0.1:{one.port}") as channel:
        replies = list(channel.unary_stream(WATCH)(PING, timeout=10))
        assert len(replies) == REPLIES, one.name


def started(stack: ExitStack, folder: Path) -> dict[str, tuple[int, dict[str, int]]]:
    """Starts every server and returns its process and ports."""
    servers = {"grpc.aio, bare": stack.enter_context(serving(folder, "grpc_aio.py"))}
    for engine in ("grpcio", "native"):
        for middleware in ("bare", "full"):
            server = stack.enter_context(serving(folder, "kratos_app.py", middleware, engine))
            servers[f"ours on {engine}, {middleware}"] = server
    return servers


def checked(name: str, pid: int, port: int) -> list[Variant]:
    """Returns one server asked for unary calls and for streams, after one of each."""
    unary = Variant(f"unary: {name}", "grpc", "unary: grpc.aio, bare", pid, port)
    unary.check()
    stream = Variant(f"stream: {name}", "grpc", "stream: grpc.aio, bare", pid, port)
    stream.path, stream.messages, stream.clients = WATCH, REPLIES, ("-c", "4", "-m", "2")
    check_stream(stream)
    return [unary, stream]


def main(rounds: int = 5, seconds: float = 3.0) -> None:
    if not H2LOAD:
        sys.exit("h2load is missing: apt-get install -y nghttp2-client")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bodies = {WATCH: (folder / "stream", PING), PATH: (folder / "unary", MESSAGE)}
        for body, message in bodies.values():
            body.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
        variants = [
            one for name, (pid, ports) in started(stack, folder).items() for one in checked(name, pid, ports["grpc"])
        ]
        for one in variants:
            one.measure(1, bodies[one.path][0])
            one.rates.clear()
            one.cpu.clear()
        busy = os.getloadavg()[0]
        order = list(variants)
        for _ in range(rounds):
            random.shuffle(order)
            for one in order:
                one.measure(seconds, bodies[one.path][0])
    print(versions())
    print(f"{os.cpu_count()} cores, load before the first round {busy:.1f} (our own warm-up counts in it)")
    print(f"{rounds} rounds of {seconds:g} s each; median [lowest-highest], ratios paired by round\n")
    print(table(sorted(variants, key=lambda one: one.path, reverse=True)))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
