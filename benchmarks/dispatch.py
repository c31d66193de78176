"""What the law costs: Call, dispatch and four middleware that do nothing, in microseconds per unary call.

    python benchmarks/dispatch.py

Variants run interleaved; each figure is the minimum and the median over the rounds, the spread is max - min. A bare
coroutine is the floor that every variant stands on.
"""

from __future__ import annotations

import asyncio
import gc
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from kratos.call import Call
from kratos.handler import Handler
from kratos.metadata import Metadata
from kratos.operation import Unary
from kratos.service import Service
from kratos.transport.dispatch import Dispatcher

ROUNDS = 15
CALLS = 20_000

ECHO = Unary("/bench.v1.Echo/Echo", str, str)


class Echo(Service):
    __operations__ = (("echo", ECHO),)

    async def echo(self, request: str, call: Call) -> str:
        return request


async def nothing(request: Any, call: Call, next: Handler) -> Any:
    return await next(request, call)


def served(middleware: int) -> Callable[[], Awaitable[Any]]:
    dispatcher = Dispatcher([Echo()], [nothing] * middleware, timeout=10.0)
    endpoint = dispatcher.endpoints[ECHO.name]
    raw = [(b"accept", b"*/*")]

    def call() -> Awaitable[Any]:
        return dispatcher.dispatch(
            endpoint, "x", Call(ECHO, kind="http", side="server", headers=Metadata.from_raw(raw))
        )

    return call


def bare() -> Callable[[], Awaitable[Any]]:
    echo = Echo()
    return lambda: echo.echo("x", None)  # type: ignore[arg-type]


async def slice_of(call: Callable[[], Awaitable[Any]]) -> float:
    start = time.perf_counter()
    for _ in range(CALLS):
        await call()
    return (time.perf_counter() - start) / CALLS * 1e6


async def main() -> None:
    variants = {
        "bare coroutine": bare(),
        "Call + dispatch": served(0),
        "Call + dispatch + 4 middleware": served(4),
    }
    figures: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(ROUNDS):
        for name, call in variants.items():
            gc.collect()
            figures[name].append(await slice_of(call))
    print(f"Python {platform.python_version()}, {ROUNDS} rounds of {CALLS} calls, microseconds per call")
    for name, values in figures.items():
        low, middle, spread = min(values), statistics.median(values), max(values) - min(values)
        print(f"  {name:32} min {low:6.2f}   median {middle:6.2f}   spread {spread:5.2f}")


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
    sys.exit(0)
