"""Whether memory grows: each server of ours, over 200,000 calls after 20,000 to warm up.

    python benchmarks/memory.py [--calls 200000] [--warm 20000] [--json FILE]

Every server is started anew for unary calls and for streams, with the usual middleware, and asked by h2load; a stream
has three replies. Memory is what is resident, read after each quarter of the calls. Ten minutes, most of them grpcio's.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator

from loads import GET, UNARY, events, streamed
from measure import Load, ask, described, finish, machine, options
from record import Results, Table
from roster import GRPC, WEB
from servers import Fleet, Program, Server, fleet, resident

QUARTERS = 4
REPLIES = 3
GOAL = 3.0


def cases() -> Iterator[tuple[Program, str, Load]]:
    """Returns each server with each kind of call."""
    for front in ("fast", "asgi"):
        yield WEB[front, "full"], "GET", GET
        yield WEB[front, "full"], "events", events(REPLIES)
    for engine in ("grpcio", "native"):
        yield GRPC[engine, "full"], "unary", UNARY
        yield GRPC[engine, "full"], "stream", streamed(REPLIES, UNARY.connections, UNARY.streams)


def watched(server: Server, load: Load, group: Fleet, wanted: argparse.Namespace) -> list[float]:
    """Returns the memory of a server when it is warm, and after each quarter of the calls."""
    load.check(server.program.name, server.port)
    ask(server, load, group.folder, "-n", str(wanted.warm))
    seen = [resident(server.pid)]
    for _ in range(QUARTERS):
        ask(server, load, group.folder, "-n", str(wanted.calls // QUARTERS))
        seen.append(resident(server.pid))
    return seen


def main(wanted: argparse.Namespace) -> Results:
    """Measures one server after the other."""
    busy = os.getloadavg()[0]
    rows, verdicts = [], []
    versions: dict[str, None] = {}
    absent: dict[str, None] = {}
    for program, kind, load in cases():
        name = f"{program.name}: {kind}"
        print(f"memory: {name}", file=sys.stderr)
        with fleet([program]) as group:
            versions |= dict.fromkeys(group.versions)
            absent |= dict.fromkeys(group.absent)
            if not group.servers:
                continue
            seen = watched(group.servers[0], load, group, wanted)
        grown = seen[-1] - seen[0]
        rows.append([name, *(f"{each:.1f}" for each in seen), f"{grown:+.1f}"])
        reached = "reached" if abs(grown) <= GOAL else "**not reached**"
        verdicts.append(f"{name}: within {GOAL:g} MiB: {reached}, {grown:+.1f}")
    steps = [f"after {wanted.calls // QUARTERS * at:,}" for at in range(1, QUARTERS + 1)]
    columns = ["", f"after {wanted.warm:,} to warm up", *steps, "growth"]
    title = f"Resident memory in MiB over {wanted.calls:,} calls, with the usual middleware"
    about = [f"{machine(busy)}.", *described(versions, absent)]
    return Results("memory", about, tables=[Table(title, columns, rows, verdicts)])


if __name__ == "__main__":
    asked = options(__doc__, calls=200_000, warm=20_000)
    finish(main(asked), asked)
