"""Calls that are begun at a rate, whatever becomes of those before, and what became of each; nodes to send them to."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from peers.chaos_app import TELL, WORK

from kratos import GRPCClient, HTTPClient
from kratos.errors import Error
from kratos.transport.client import Client
from kratos.wire.errors.errors_pb import Status

__all__ = ["LATE", "Asked", "Log", "Node", "capacity", "client", "node", "offer", "percentile"]

LATE = 0.5  # seconds after which nobody wants the answer any more
_APP = Path(__file__).parent / "peers" / "chaos_app.py"


class Asked(NamedTuple):
    """One call.

    Attributes:
        at: When it was due, in seconds since the beginning.
        seconds: How long it took, from then on: a load that is late itself hides nothing.
        reason: Why it failed; empty for an answer.
    """

    at: float
    seconds: float
    reason: str


@dataclass
class Log:
    """All calls of one client."""

    calls: list[Asked] = field(default_factory=list)

    def between(self, begin: float, end: float) -> list[Asked]:
        """Returns the calls that were due in a stretch of time."""
        return [each for each in self.calls if begin <= each.at < end]

    def good(self, begin: float, end: float) -> int:
        """Returns how many of them were answered in time."""
        return sum(not each.reason and each.seconds <= LATE for each in self.between(begin, end))


@dataclass(frozen=True)
class Node:
    """A server in a process of its own."""

    process: asyncio.subprocess.Process
    ports: dict[str, Any]

    def url(self, kind: str) -> str:
        """Returns where it is called."""
        return f"{kind}://127.0.0.1:{self.ports[kind]}"

    async def tell(self, failing: float) -> None:
        """Makes it fail as often as this from now on."""
        async with HTTPClient(self.url("http"), middleware=[]) as conn:
            await conn.unary(TELL, Status(message=str(failing)), {}, {})


@asynccontextmanager
async def node(**wanted: Any) -> AsyncIterator[Node]:
    """Runs ``peers/chaos_app.py`` until the block is left."""
    process = await asyncio.create_subprocess_exec(sys.executable, _APP, json.dumps(wanted), stdout=-1)
    try:
        assert process.stdout is not None
        yield Node(process, json.loads(await process.stdout.readline()))
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def client(kind: str, target: str, **options: Any) -> Client:
    """Returns a client of one of the transports."""
    made: Client = (HTTPClient if kind == "http" else GRPCClient)(target, **{"middleware": [], **options})
    return made


async def capacity(conn: Client, seconds: float = 2.0) -> float:
    """Returns how many calls per second are answered if there are always four under way."""
    began = time.perf_counter()
    done = 0

    async def one() -> None:
        nonlocal done
        while time.perf_counter() - began < seconds:
            await conn.unary(WORK, Status(), {"timeout": 30.0}, {})
            done += 1

    await asyncio.gather(*(one() for _ in range(4)))
    return done / (time.perf_counter() - began)


async def offer(conn: Client, steps: Sequence[tuple[float, float]], *, log: Log, **options: Any) -> None:
    """Calls at random moments, for some seconds at a rate, then at the next one; waits for the last answers.

    Args:
        conn: Who calls.
        steps: Seconds and calls per second.
        log: What became of the calls.
        options: Of each call.
    """
    dice = random.Random(7)  # noqa: S311 - a load, and no secret
    began = time.perf_counter()

    async def one(at: float) -> None:
        reason = ""
        try:
            await conn.unary(WORK, Status(), {"timeout": LATE, **options}, {})
        except Error as failure:
            reason = failure.reason
        log.calls.append(Asked(at, time.perf_counter() - began - at, reason))

    at = end = 0.0
    async with asyncio.TaskGroup() as calls:
        for seconds, rate in steps:
            at, end = end, end + seconds
            while (at := at + dice.expovariate(rate)) < end:
                pause = at - (time.perf_counter() - began)
                # Timers are rounded to a millisecond; the last bit is not worth a busy loop.
                await asyncio.sleep(max(pause, 0.0))
                calls.create_task(one(at))


def percentile(seconds: Sequence[float], share: float = 0.99) -> float:
    """Returns the time that a share of the calls was within; none took any where there are none."""
    return sorted(seconds)[min(int(len(seconds) * share), len(seconds) - 1)] if seconds else 0.0
