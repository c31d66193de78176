"""Fluent's own server, by Node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PACKAGE = "@fluent-org/logger@1.0.10"
HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kratos-py" / PACKAGE.replace("/", "-")


@pytest.fixture(scope="session")
def modules() -> Path:
    """The folder of Node's modules, installed once per machine."""
    npm = shutil.which("npm")
    if not npm or not shutil.which("node"):
        pytest.skip("needs Node: apt-get install nodejs npm")
    if not CACHE.exists():
        CACHE.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE.parent) as scratch:
            command = [
                npm,
                "install",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
                f"{scratch}/all",
                PACKAGE,
            ]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == 0, done.stderr
            try:
                os.rename(Path(scratch) / "all", CACHE)
            except OSError:  # somebody else was quicker
                assert CACHE.exists()
    return CACHE / "node_modules"


class Fluentd:
    """A process that takes what is sent, and can be stopped and started at the same address."""

    def __init__(self, modules: Path, folder: Path, where: str, key: str) -> None:
        self.file = folder / "entries.jsonl"
        self._command = ["node", str(HERE / "fluentd.cjs"), str(modules), str(self.file)]
        self._where, self._key = where, key
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self._where}" if self._where.isdigit() else f"unix://{self._where}"

    def start(self) -> None:
        arguments = [self._where, *([self._key] if self._key else [])]
        self._process = subprocess.Popen([*self._command, *arguments], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._where = self._process.stdout.readline().strip()
        assert self._where

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.communicate(timeout=60)
            if not self._where.isdigit():
                Path(self._where).unlink(missing_ok=True)

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []

    def records(self, count: int) -> list[dict[str, Any]]:
        """Waits for so many different messages: what is acknowledged is written a moment later."""
        end = time.monotonic() + 60
        while True:
            records = [entry["record"] for entry in self.entries()]
            if len({record["msg"] for record in records}) >= count or time.monotonic() > end:
                return records
            time.sleep(0.01)


@pytest.fixture
def fluentd(modules: Path, tmp_path: Path) -> Iterator[Callable[..., Fluentd]]:
    """Starts Fluent's server at a port, or elsewhere."""
    started: list[Fluentd] = []

    def start(where: str = "0", key: str = "") -> Fluentd:
        started.append(Fluentd(modules, tmp_path, where, key))
        return started[-1]

    yield start
    for each in started:
        each.stop()
