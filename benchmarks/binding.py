"""What it costs to find a route and to make a message of a request without a body, in microseconds.

    python benchmarks/binding.py

Variants run interleaved; each figure is the minimum and the median over the rounds, the spread is max - min.
"""

from __future__ import annotations

import gc
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fixtures.gen.fixture.codec.v1.everything_pb import Everything

from kratos.operation import Http, Unary
from kratos.pathtemplate import Template
from kratos.transport.http.bind import Binding
from kratos.transport.http.path import Rule
from kratos.transport.http.route import Router

ROUNDS = 15
CALLS = 5_000

THING = Unary("/bench.v1.Things/Get", Everything, Everything, http=(Http("GET", "/v1/things/{page_size}"),))
TEMPLATES = ("/v1/things", "/v1/things/{page_size}", "/v1/things/{page_size}:go", "/v1/books/{page_size}")


def variants() -> dict[str, Callable[[], Any]]:
    router = Router(("GET", Template(text), text) for text in TEMPLATES)
    binding = Binding(THING, THING.http[0])
    rule = Rule(THING)
    query = "optionals.a_string=abc&optionals.an_int64=5&optionals.a_bool=true"
    message = binding.build(None, b"", query, ("7",))
    return {
        "route without variables": lambda: router.match("GET", "/v1/things"),
        "route with a variable": lambda: router.match("GET", "/v1/things/7"),
        "bind a variable": lambda: binding.build(None, b"", "", ("7",)),
        "bind a variable, three parameters": lambda: binding.build(None, b"", query, ("7",)),
        "build the same": lambda: rule.target(message),
    }


def slice_of(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    for _ in range(CALLS):
        work()
    return (time.perf_counter() - start) / CALLS * 1e6


def main() -> None:
    measured = variants()
    figures: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(ROUNDS):
        for name, work in measured.items():
            gc.collect()
            figures[name].append(slice_of(work))
    print(f"Python {platform.python_version()}, {ROUNDS} rounds of {CALLS}, microseconds")
    print(f"{'':36}{'min':>8}{'median':>8}{'spread':>8}")
    for name, values in figures.items():
        print(f"{name:36}{min(values):8.2f}{statistics.median(values):8.2f}{max(values) - min(values):8.2f}")


if __name__ == "__main__":
    main()
