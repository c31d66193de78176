"""The OpenTelemetry Collector, built from its own modules, as the receiver of what services send."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from killable import free_port
from telemetry.received import Log, Point, Span, logs_of, points_of, spans_of

from interop.contract import HERE
from interop.peer import SECONDS, built, said

__all__ = ["Collector", "build_collector", "collecting"]

T = TypeVar("T")

_SIGNALS = ("traces", "metrics", "logs")


def build_collector() -> Path:
    """Returns the path of the program; builds it if it is not there yet."""
    sources = sorted((HERE / "collector").iterdir())

    def make(folder: Path, made: Path) -> None:
        said("go", "build", "-trimpath", "-o", str(made), ".", cwd=HERE / "collector")

    return built("collector", sources, "", make)


class Collector:
    """A Collector that runs.

    Attributes:
        grpc: The URL for gRPC.
        http: The URL for HTTP.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "collector.err"
        ports = [free_port(), free_port()]
        self.grpc, self.http = (f"http://127.0.0.1:{port}" for port in ports)
        endpoints = [f"127.0.0.1:{port}" for port in ports]
        config = {
            "receivers": {
                "otlp": {"protocols": {"grpc": {"endpoint": endpoints[0]}, "http": {"endpoint": endpoints[1]}}}
            },
            "exporters": {f"file/{name}": {"path": str(folder / f"{name}.jsonl")} for name in _SIGNALS},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {name: {"receivers": ["otlp"], "exporters": [f"file/{name}"]} for name in _SIGNALS},
            },
        }
        (folder / "collector.yaml").write_text(json.dumps(config))
        with self._log.open("w") as errors:
            self._process = subprocess.Popen(
                [str(program), "--config", f"file:{folder / 'collector.yaml'}"], stderr=errors, stdout=errors
            )

    def ready(self) -> bool:
        """Tells whether it accepts connections; false if it has ended."""
        end = time.monotonic() + SECONDS
        while self._process.poll() is None and time.monotonic() < end:
            if "Everything is ready" in self._log.read_text():
                return True
            time.sleep(0.05)
        return False

    def stop(self) -> None:
        """Has it write what it has got."""
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(SECONDS) == 0, self._log.read_text()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def spans(self) -> list[Span]:
        return self._read("traces", spans_of)

    @property
    def logs(self) -> list[Log]:
        return self._read("logs", logs_of)

    @property
    def points(self) -> list[Point]:
        return self._read("metrics", points_of)

    def _read(self, name: str, read: Callable[[Mapping[str, Any]], Iterator[T]]) -> list[T]:
        lines = (self._folder / f"{name}.jsonl").read_text().splitlines()
        return [each for line in lines for each in read(json.loads(line))]


@contextmanager
def collecting(program: Path, folder: Path) -> Iterator[Collector]:
    """Runs a Collector; another one, if somebody takes its ports before it does."""
    for _ in range(5):
        collector = Collector(program, folder)
        try:
            if collector.ready():
                yield collector
                return
        finally:
            collector.kill()
    raise AssertionError((folder / "collector.err").read_text())
