"""What limiter, breaker and retry cost a call that they let through, and what it costs to turn one away.

    python benchmarks/resilience.py [rounds] [calls]

In one process, without a socket. A call that is let through goes by a chain to a handler that does nothing but what a
client's balancer does: it asks whether the node may be called, and says which it was. One that is turned away is a
whole request of HTTP, from its path to the bytes of its 429. Variants run in turn; the least of their rounds counts,
because noise only adds.

It needs the fixtures that the tests generate.
"""

from __future__ import annotations

import math
import platform
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fixtures.gen.fixture.kinds.v1.kinds_kratos import KINDS_ECHO
from roundtrip.service import Kinds

from kratos.call import ADMIT, Call, Peer
from kratos.codec import DEFAULT_CODECS
from kratos.handler import Middleware, chain
from kratos.metadata import Metadata
from kratos.metrics import PrometheusMeter
from kratos.middleware import breaker, ratelimit, recovery, retry
from kratos.resilience import Priority
from kratos.transport.dispatch import Dispatcher
from kratos.transport.http.edge import Edge, Request

NODE = Peer("10.0.0.7:8000")
GOAL, SHED_GOAL = 6.0, 100.0


class Shut:
    """A limiter that lets nobody in."""

    pressed = True
    keeps_streams = False

    def allow(self, priority: Priority = Priority.CRITICAL, left: float = math.inf, /) -> bool:
        return False

    def done(self, seconds: float | None, late: bool = False, /) -> None: ...


async def end(request: Any, call: Call) -> Any:
    admit = call.state.get(ADMIT)
    if admit is not None:
        admit(NODE.address)
    call.peer = NODE
    return request


def let_through(*middleware: Middleware) -> Callable[[int], Awaitable[float]]:
    """Returns what makes calls through a chain, and returns the microseconds of each."""
    run = chain(middleware, end, KINDS_ECHO)
    headers = Metadata({"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"})

    async def calls(count: int) -> float:
        made = [Call(KINDS_ECHO, kind="http", side="client", headers=headers) for _ in range(count)]
        start = time.process_time()
        for call in made:
            await run(None, call)
        return (time.process_time() - start) / count * 1e6

    return calls


def turned_away() -> Callable[[int], Awaitable[float]]:
    """Returns what makes requests that are shed, and returns the microseconds of each."""
    edge = Edge(Dispatcher([Kinds()], [recovery(), ratelimit(Shut())]), DEFAULT_CODECS)
    headers = ((b"host", b"127.0.0.1:8000"), (b"accept", b"application/json"), (b"x-request-id", b"5f1d8b1e"))

    async def calls(count: int) -> float:
        start = time.process_time()
        for _ in range(count):
            request = Request("GET", "/kinds/echo/a", "", headers, NODE)
            response = await edge.answer(request, edge.match(request), b"")
        assert response.status == 429
        return (time.process_time() - start) / count * 1e6

    return calls


async def main(rounds: int = 15, calls: int = 5000) -> None:
    meter = PrometheusMeter()
    variants = {
        "": let_through(),
        "`ratelimit()`": let_through(ratelimit()),
        "`breaker()`": let_through(breaker(meter=meter)),
        "`retry()`": let_through(retry(meter=meter)),
        "all three": let_through(ratelimit(), retry(meter=meter), breaker(meter=meter)),
        "a request that is turned away, from its path to the bytes of its 429": turned_away(),
    }
    found: dict[str, list[float]] = {name: [] for name in variants}
    turns = list(variants)
    for _ in range(rounds):
        random.shuffle(turns)
        for name in turns:
            found[name].append(await variants[name](calls))
    floor = min(found.pop(""))
    print(f"CPython {platform.python_version()}, {rounds} rounds of {calls} calls; microseconds of CPU per call.\n")
    print("| | least | median | goal |\n|---|---:|---:|---|")
    for name, values in found.items():
        shed = name.startswith("a request")
        least, median = (each - (0 if shed else floor) for each in (min(values), statistics.median(values)))
        goal = SHED_GOAL if shed else GOAL if name == "all three" else None
        said = "" if goal is None else f"{goal:g}: {'reached' if least <= goal else '**not reached**'}"
        print(f"| {name} | {least:.1f} | {median:.1f} | {said} |")


if __name__ == "__main__":
    uvloop.run(main(*(int(argument) for argument in sys.argv[1:])))
