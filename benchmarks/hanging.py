"""How soon a client leaves a node alone that takes calls and never answers, and how many calls it costs.

    python benchmarks/hanging.py

A simulation, so the same everywhere: calls come by chance, take some 5 ms and give up after 2 s; the balancer, P2C, and
the ejections are the real ones. DESIGN.md has what it says.
"""

from __future__ import annotations

import heapq
import random
import statistics
from typing import NamedTuple

from kratos.selector import P2C, Asked, Ejection, Flight, Node, Outcome, Outlier
from kratos.selector.pool import Pool

GOES = 5.0
"""When the node hangs, in seconds."""


class Seen(NamedTuple):
    """What became of one run.

    Attributes:
        ejections: When nodes were left alone, counted from when one of them hangs, and which.
        lost: How many calls had come to the one that hangs by the time it was left alone.
        calls: How many there were in all, in that time.
    """

    ejections: list[tuple[float, str]]
    lost: int
    calls: int


def run(rate: float, count: int, seed: int, *, seconds: float, slow: float = 0.0, hangs: bool = True) -> Seen:
    """Runs one client.

    Args:
        rate: Its calls a second.
        count: How many nodes there are.
        seed: Chance.
        seconds: How long, if nobody is left alone before.
        slow: The share of calls that take too long wherever they go.
        hangs: Whether one of the nodes hangs; it is over when that one is left alone.
    """
    chance = random.Random(seed)  # noqa: S311 - it is the same each time
    now, lost, calls = 0.0, 0, 0
    ejections: list[tuple[float, str]] = []

    def told(ejection: Ejection) -> None:
        ejections.append((now - GOES, ejection.address))

    pool = Pool(P2C(draw=chance.random), Outlier(), told=told, draw=chance.random)
    pool.update([Node(str(number)) for number in range(count)])
    ends: list[tuple[float, int, Flight, Outcome]] = []
    coming = 0.0
    while now < GOES + seconds and not (hangs and any(address == "0" for _, address in ejections)):
        if ends and ends[0][0] <= coming:
            now, _, flight, outcome = heapq.heappop(ends)
            pool.done(flight, outcome, now)
            continue
        now, coming = coming, coming + chance.expovariate(rate)
        picked = pool.pick(Asked(), now)
        if picked is None:
            raise RuntimeError("there are no nodes")
        hung = hangs and now >= GOES and picked.node.address == "0"
        calls += now >= GOES
        lost += hung
        took, outcome = chance.lognormvariate(-5.3, 0.5), Outcome.GOOD
        if hung or chance.random() < slow:
            took, outcome = 2.0, Outcome.DOWN
        heapq.heappush(ends, (now + took, len(ends) + calls, picked, outcome))
    return Seen(ejections, lost, calls)


def main() -> None:
    """Prints a table of times and losses, and of nodes that were left alone though nothing is wrong with them."""
    print("| calls a second | nodes | left alone after (longest) | calls lost (most) | of all |\n|---|---|---|---|---|")
    for rate in (10, 100, 1000):
        for count in (3, 10):
            some = [run(rate, count, seed, seconds=100) for seed in range(7)]
            times, lost = [each.ejections[-1][0] for each in some], [each.lost for each in some]
            share = sum(lost) / sum(each.calls for each in some)
            print(
                f"| {rate} | {count} | {statistics.median(times):.1f} s ({max(times):.1f} s)",
                f"| {statistics.median(lost):g} ({max(lost)}) | {share:.2%} |",
            )
    print("\n1 % of the calls take too long wherever they go; left alone in a minute:")
    for rate, count in ((10, 3), (100, 3), (100, 10)):
        alone = [len(run(rate, count, seed, seconds=60, slow=0.01, hangs=False).ejections) for seed in range(7)]
        print(f"{rate} calls a second, {count} nodes: {statistics.mean(alone):.1f}")


if __name__ == "__main__":
    main()
