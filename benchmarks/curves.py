"""Draws what limiter, breaker and retry do: docs/resilience.svg and docs/resilience.png.

    python benchmarks/curves.py [FOLDER]

A simulation, so the same everywhere: an event loop whose time jumps to whatever comes next runs the real limiter, with
its real use of the CPUs, the real breaker and the real budget against a server that answers 200 calls a second and does
what it was asked for in order, whether or not anybody still waits. It needs matplotlib, ``pip install --group plots``.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from kratos.resilience import BBR, BBRLimiter, Priority, Retry, RetryBudget, SREBreaker
from kratos.resilience.cpu import CPU, Usage

T = TypeVar("T")

WORK = 0.005  # seconds of CPU that a call takes: 200 a second
LATE = 0.5  # seconds after which nobody wants the answer any more
LOADS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop that never waits: time is what the next timer says."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        selector: Any = vars(self)["_selector"]
        select: Callable[[float], Any] = selector.select

        def jump(timeout: float | None) -> Any:
            self._now += timeout or 0.0
            return select(0)

        selector.select = jump

    def time(self) -> float:
        return self._now


def simulated(main: Coroutine[Any, Any, T]) -> T:
    """Runs something outside of real time."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main)


class Server:
    """One CPU, one queue, and a limiter in front of it, or none."""

    def __init__(self, *, limited: bool) -> None:
        clock = asyncio.get_running_loop().time
        self.used = 0.0
        cpu = CPU(lambda: Usage(self.used, clock(), 1.0), thread=lambda: 0.0, clock=clock)
        self.limiter = BBRLimiter(BBR(), cpu=cpu, clock=clock) if limited else None
        self._cpu = asyncio.Lock()

    async def call(self, priority: Priority = Priority.CRITICAL) -> bool:
        """Answers, or sheds; tells whether in time."""
        clock = asyncio.get_running_loop().time
        began = clock()
        if self.limiter is not None and not self.limiter.allow(priority):
            return False
        async with self._cpu:
            await asyncio.sleep(WORK)
            self.used += WORK
        seconds = clock() - began
        if self.limiter is not None:
            self.limiter.done(seconds)
        return seconds <= LATE


async def offered(load: float, *, limited: bool, mixed: bool = False) -> dict[Priority, float]:
    """Returns how many calls a second are answered in time at a load, of what the server could answer, by priority.

    Load comes up slowly, as it does; what is counted is the last ten seconds of sixty.
    """
    loop, dice = asyncio.get_running_loop(), random.Random(7)  # noqa: S311 - a simulation
    server, rate = Server(limited=limited), load / WORK
    priorities = list(Priority) if mixed else [Priority.CRITICAL]
    good = dict.fromkeys(priorities, 0.0)

    async def one(priority: Priority, counts: bool) -> None:
        if await server.call(priority) and counts:
            good[priority] += 1

    tasks: set[asyncio.Task[None]] = set()
    while (now := loop.time()) < 60:
        warming = min(1.0, 0.2 + now / 20)
        await asyncio.sleep(dice.expovariate(rate * warming))
        task = asyncio.create_task(one(dice.choice(priorities), now >= 50))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    for task in tasks:
        task.cancel()
    return {priority: count / (10 / WORK) for priority, count in good.items()}


def healing(rate: int) -> tuple[list[float], list[float]]:
    """Returns how many of its calls a client sends, over time: from 10 to 20 s the backend is down."""
    now, dice = 0.0, random.Random(rate)  # noqa: S311 - a simulation
    breaker = SREBreaker(clock=lambda: now, random=dice.random)
    times: list[float] = []
    shares: list[float] = []
    for half in range(64):
        sent = 0
        for _ in range(rate // 2):
            now += 1 / rate
            if not breaker.allow():
                breaker.mark_failure()
            elif 10 <= now < 20:
                sent += 1
                breaker.mark_failure()
            else:
                sent += 1
                breaker.mark_success()
        times.append(half / 2)
        shares.append(sent / (rate // 2))
    return times, shares


def amplified(*, budget: bool) -> tuple[list[float], list[float]]:
    """Returns how much is sent of what is asked for, over time: from 10 to 20 s nothing succeeds."""
    now = 0.0
    settings, purse = Retry(), RetryBudget(clock=lambda: now)
    times: list[float] = []
    loads: list[float] = []
    for half in range(64):
        sent = 0
        for _ in range(100):
            now += 0.005
            purse.called()
            sent += 1
            for _ in range(settings.attempts - 1 if 10 <= now < 20 else 0):
                sent += not budget or purse.spend(settings)
        times.append(half / 2)
        loads.append(sent / 100)
    return times, loads


def draw(folder: Path) -> None:
    """Draws all of it."""
    import matplotlib as mpl  # noqa: PLC0415 - measuring needs none of it

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - it has to be told first where to draw
    from PIL import Image  # noqa: PLC0415 - measuring needs none of it

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "kratos", "font.size": 9, "axes.grid": True})
    figure, ((goodput, order), (breaker, retry)) = plt.subplots(2, 2, figsize=(9.6, 6.8), layout="constrained")
    _curve(goodput, "Answered in time, of what the server can", "calls that come in, of what it can")
    for limited, label, color in ((False, "without", "#8a939d"), (True, "with ratelimit()", "#2f7fd6")):
        found = [sum(simulated(offered(load, limited=limited)).values()) for load in LOADS]
        goodput.plot(LOADS, found, marker=".", label=label, color=color)
    _curve(order, "The same by priority, a quarter of the calls each", "calls that come in, of what it can")
    by_priority = [simulated(offered(load, limited=True, mixed=True)) for load in LOADS]
    for priority, color in zip(Priority, ("#c9d3dd", "#8fb8e3", "#2f7fd6", "#173f6b"), strict=True):
        answered = [min(4 * each[priority] / load, 1.0) for each, load in zip(by_priority, LOADS, strict=True)]
        order.plot(LOADS, answered, marker=".", label=priority.name.lower(), color=color)
    order.set_ylabel("share that is answered")
    _curve(breaker, "What breaker() lets through; down from 10 to 20 s", "seconds")
    for rate, color in ((20, "#8fb8e3"), (100, "#2f7fd6"), (1000, "#173f6b")):
        breaker.plot(*healing(rate), label=f"{rate} calls a second", color=color)
    _curve(retry, "What retry() sends, of what is asked for; the same", "seconds")
    retry.plot(*amplified(budget=False), label="three attempts, no budget", color="#8a939d")
    retry.plot(*amplified(budget=True), label="with the budget", color="#2f7fd6")
    for one in (goodput, order, breaker, retry):
        one.set_ylim(bottom=0)
        one.legend(fontsize=8)
    figure.savefig(folder / "resilience.svg", metadata={"Date": None})
    drawn = folder / "resilience.png"
    figure.savefig(drawn, dpi=90)
    with Image.open(drawn) as picture:
        picture.convert("RGB").quantize(32).save(drawn, optimize=True)  # a third of the size


def _curve(axes: Any, title: str, label: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(label)


def main(arguments: Sequence[str]) -> None:
    draw(Path(arguments[0]) if arguments else Path(__file__).parents[1] / "docs")


if __name__ == "__main__":
    main(sys.argv[1:])
