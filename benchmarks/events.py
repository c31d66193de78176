"""A thousand streams of events at a time, one event a second each: how late they come, and what they cost.

    python benchmarks/events.py [--rounds 3] [--streams 1000] [--seconds 10] [--json FILE]

The server is a process of its own, started anew in each round. Delivery is the time from the line before a handler's
``yield`` to the end of the event at the client, both on one machine and one clock; client and server share its cores.
CPU and memory are those of the server's process. Linux only; about a minute.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop
from measure import finish, machine, options
from record import Results, Table
from roster import WEB
from servers import PEERS, Program, Server, cpu_seconds, named, resident, started

CLOCK = Program("ours, fast, streams of events", "kratos_events.py")
REQUEST = b"GET /tick HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
MADE = re.compile(rb'"message":"(\d+)"')
PERCENTILES = (50, 90, 99, 99.9)


@dataclass(frozen=True)
class Seen:
    """What one round found.

    Attributes:
        late: Milliseconds, by the percentiles.
        share: How much of a core the server took.
        each: Microseconds of its CPU per event.
        memory: What is resident, in MiB.
        grown: How much of that a stream takes, in KiB.
    """

    late: list[float]
    share: float
    each: float
    memory: float
    grown: float


async def follow(port: int, late: list[float]) -> None:
    """Reads one stream, and keeps how late its events were, in milliseconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    try:
        while line := await reader.readline():
            made = MADE.search(line)
            if made is not None:
                late.append((time.monotonic_ns() - int(made[1])) / 1e6)
    finally:
        writer.close()


async def measure(server: Server, streams: int, seconds: float) -> Seen:
    """Opens the streams, lets them settle, and returns what was seen after that."""
    late: list[float] = []
    empty = resident(server.pid)
    tasks: list[asyncio.Task[None]] = []
    for _ in range(streams):  # a second for all of them, so that their events do not come in one heap
        tasks.append(asyncio.create_task(follow(server.port, late)))
        await asyncio.sleep(1 / streams)
    await asyncio.sleep(2)
    late.clear()
    used, began = cpu_seconds(server.pid), time.monotonic()
    await asyncio.sleep(seconds)
    spent, took = cpu_seconds(server.pid) - used, time.monotonic() - began
    count = len(late)
    full = resident(server.pid)
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    broken = [each for each in ended if not isinstance(each, asyncio.CancelledError)]
    assert not broken, f"{len(broken)} streams ended early: {broken[0]!r}"
    cuts = statistics.quantiles(late, n=1000)
    at = [cuts[round(each * 10) - 1] for each in PERCENTILES]
    return Seen(at, spent / took, spent / count * 1e6, full, (full - empty) / streams * 1024)


def row(name: str, values: list[float], shape: str) -> list[str]:
    low, middle, high = (f"{each:{shape}}" for each in (min(values), statistics.median(values), max(values)))
    return [name, middle, f"{low}-{high}"]


def main(streams: int, rounds: int, seconds: float) -> Results:
    """Measures round by round."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    busy = os.getloadavg()[0]
    seen: list[Seen] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            print(f"events: round {number + 1} of {rounds}", file=sys.stderr)
            with started(CLOCK, [sys.executable, str(PEERS / CLOCK.script)], Path(folder)) as server:
                seen.append(uvloop.run(measure(server, streams, seconds)))
    rows = [
        row(f"delivery, p{percentile:g}, ms", [each.late[at] for each in seen], ".2f")
        for at, percentile in enumerate(PERCENTILES)
    ]
    rows += [
        row("server, % of a core", [each.share * 100 for each in seen], ".0f"),
        row("server, CPU us/event", [each.each for each in seen], ".0f"),
        row("memory, MiB", [each.memory for each in seen], ".0f"),
        row("memory, KiB/stream", [each.grown for each in seen], ".1f"),
    ]
    title = f"{streams:,} streams of events over HTTP, one event a second each, {rounds} rounds of {seconds:g} s"
    table = Table(title, ["", "median", "lowest-highest"], rows)
    return Results("events", [f"{machine(busy)}.", f"{', '.join(named(WEB['fast', 'bare']))}."], tables=[table])


if __name__ == "__main__":
    wanted = options(__doc__, rounds=3, streams=1000, seconds=10)
    finish(main(wanted.streams, wanted.rounds, wanted.seconds), wanted)
