"""Three services in three processes, over mixed transports, and what has to be true of the traces through them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping

from kratos.transport.http import HTTPClient
from telemetry.received import Span

__all__ = ["CHAINS", "Chain", "check", "links", "running", "talk"]

TESTS = Path(__file__).parents[1]
SECONDS = 60.0

CHAINS = {
    "http-grpc-http": ("http", "grpc", "http"),
    "http-native-http": ("http", "native", "http"),
    "http-http-native": ("http", "http", "native"),
}
"""What each of the three speaks, from the front to the back."""


class Chain:
    """Three processes: ``front``, ``middle`` and ``back``."""

    def __init__(self, folder: Path) -> None:
        self.url = ""
        self._folder = folder
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, name: str, *arguments: str, environment: dict[str, str]) -> None:
        """Starts one; it hands calls on to the one that was started before."""
        known = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
        paths = {"PYTHONPATH": str(TESTS), "NO_PROXY": "*"}
        with (self._folder / f"{name}.err").open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, str(TESTS / "telemetry" / "service.py"), name, *arguments, *filter(None, [self.url])],
                stdout=subprocess.PIPE, stderr=errors, text=True, env={**known, **paths, **environment},
            )  # fmt: skip
        self._processes.append(process)
        assert process.stdout is not None
        self.url = process.stdout.readline().strip()
        assert self.url, self.errors(name)

    def errors(self, name: str) -> str:
        return (self._folder / f"{name}.err").read_text()

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Returns the access lines of one."""
        return [json.loads(line) for line in (self._folder / f"{name}.log").read_text().splitlines()]

    def stop(self) -> None:
        """Tells all to end, now, and waits until they have."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            assert process.wait(SECONDS) == 0, [path.read_text() for path in self._folder.glob("*.err")]

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()


@contextmanager
def running(
    folder: Path, speaks: Sequence[str], environment: dict[str, str], *, ratios: Sequence[float] = (1, 1, 1)
) -> Iterator[Chain]:
    """Runs three services; the last one is started first."""
    chain = Chain(folder)
    with ExitStack() as stack:
        stack.callback(chain.kill)
        for name, spoken, ratio in zip(("back", "middle", "front"), speaks[::-1], ratios[::-1], strict=True):
            chain.start(name, spoken, str(folder / f"{name}.log"), str(ratio), environment=environment)
        yield chain


async def talk(url: str, calls: int, headers: Sequence[dict[str, str]] = ({},)) -> list[str]:
    """Makes calls of one reply and as many of many; returns the traces that the back has seen of the first."""
    seen: list[str] = []
    async with HTTPClient(url, timeout=SECONDS) as conn:
        api = KindsClient(conn)
        for number in range(calls):
            said = headers[number % len(headers)]
            seen.append((await api.echo(Ping(text="a"), headers=said)).text)
            async with api.watch(Ping(text="b", count=3), headers=said) as replies:
                assert len([reply async for reply in replies]) == 3
    return seen


def links(spans: Collection[Span], trace: str) -> list[tuple[str, str, str]]:
    """Returns service, kind and name of the spans of a trace from the root down, each below the one before."""
    mine = {span.parent: span for span in spans if span.trace == trace}
    assert len(mine) == sum(span.trace == trace for span in spans), "two spans have the same parent"
    known = {span.id for span in mine.values()}
    (parent,) = {span.parent for span in mine.values()} - known
    found: list[tuple[str, str, str]] = []
    while parent in mine:
        span = mine[parent]
        found.append((span.service, span.kind, span.name))
        parent = span.id
    assert len(found) == len(mine)
    return found


ECHO, WATCH = "fixture.kinds.v1.Kinds/Echo", "fixture.kinds.v1.Kinds/Watch"
PATHS = {
    ECHO: [
        ("front", "server", ECHO),
        ("front", "internal", "own work"),
        ("front", "client", ECHO),
        ("middle", "server", ECHO),
        ("middle", "internal", "own work"),
        ("middle", "client", ECHO),
        ("back", "server", ECHO),
    ],
    WATCH: [
        ("front", "server", WATCH),
        ("front", "client", WATCH),
        ("middle", "server", WATCH),
        ("middle", "client", WATCH),
        ("back", "server", WATCH),
    ],
}


def check(chain: Chain, spans: Collection[Span], calls: int) -> None:
    """Asserts that each call was one trace, whole, and that the access lines of all three say the same."""
    traces = {span.trace for span in spans}
    assert len(traces) == 2 * calls
    found = [links(spans, trace) for trace in traces]
    assert sorted(found) == sorted([PATHS[ECHO]] * calls + [PATHS[WATCH]] * calls)
    servers = {(span.service, span.trace): span.id for span in spans if span.kind == "server"}
    for name in ("front", "middle", "back"):
        lines = chain.lines(name)
        assert {(name, line["trace_id"]): line["span_id"] for line in lines} == {
            key: span for key, span in servers.items() if key[0] == name
        }
        assert "Traceback" not in chain.errors(name)
    for span in spans:
        if span.kind == "server":
            assert (
                span.facts.get("service.peer.name")
                == {"front": None, "middle": "front", "back": "middle"}[span.service]
            )
