"""More calls than a server can answer, with and without ``ratelimit()``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean

from offering import Log, capacity, client, node, offer, percentile

__all__ = ["LOADS", "STEPS", "Overload", "overload"]

WORK = 0.005  # seconds of CPU that a call takes
LOADS = (0.5, 1.0, 1.5, 2.0)
SECONDS, COUNTED = 10.0, 5.0  # of each load; so many of them, at the end, count: the limiter needs some to notice
STEPS = (
    (4.0, 0.5),
    (16.0, 3.0),
    (5.0, 0.5),
)  # seconds, and load: the last one of the curve, and what is seen over time
STEADY = 12.0, 20.0  # what of it is a point of the curve


@dataclass
class Overload:
    """What was seen.

    Attributes:
        rates: The capacity, as it was measured before and after each load.
        share: Answers in time, of that capacity, by whether there is a limiter and by load.
        p99: Seconds, of all calls that were not turned away, by the same.
        over_time: The calls of the steps, by whether there is a limiter.
        capacity: What the shares over time are of.
    """

    rates: list[float] = field(default_factory=list)
    share: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})
    p99: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})
    over_time: dict[bool, Log] = field(default_factory=dict)
    capacity: dict[bool, float] = field(default_factory=dict)


async def overload(kind: str, loads: Sequence[float] = LOADS) -> Overload:
    """Runs it: a minute and a half for the curve, less than one for the time after a sudden burst.

    Args:
        kind: Over what.
        loads: The points of the curve before the burst, which is the last one.
    """
    seen = Overload()
    # One that nobody overloads tells what can be done: a queue of the one before would count as less.
    async with node(work=WORK) as idle, client(kind, idle.url(kind)) as quiet:
        await capacity(quiet, 1.0)
        seen.rates.append(await capacity(quiet))
        runs = [(((SECONDS, load),), (SECONDS - COUNTED, SECONDS)) for load in loads]
        for steps, (begin, end) in [*runs, (STEPS, STEADY)]:
            for limited in (True, False):
                before, log = seen.rates[-1], Log()
                async with node(work=WORK, limited=limited) as there, client(kind, there.url(kind)) as conn:
                    await offer(conn, [(seconds, load * before) for seconds, load in steps], log=log)
                seen.rates.append(await capacity(quiet))
                possible = mean((before, seen.rates[-1]))
                seen.share[limited].append(log.good(begin, end) / (end - begin) / possible)
                waited = [each.seconds for each in log.between(begin, end) if each.reason != "RATELIMIT"]
                seen.p99[limited].append(percentile(waited))
                seen.over_time[limited] = log
                seen.capacity[limited] = possible
    return seen
