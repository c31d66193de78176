"""A real Prometheus on a free port, scraping what it is told to."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from killable import free_port

PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
NEEDED = pytest.mark.skipif(
    PROMETHEUS is None or PROMTOOL is None, reason="needs prometheus and promtool: apt-get install prometheus"
)
PATIENCE_SECONDS = 60.0

CONFIG = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
- job_name: ours
  metrics_path: {path}
  static_configs: [{{targets: ["{target}"]}}]
"""


def lint(text: bytes) -> str:
    """Returns what promtool has to say of a text; nothing is best."""
    done = subprocess.run([str(PROMTOOL), "check", "metrics"], input=text, capture_output=True, check=False, timeout=60)
    return (done.stdout + done.stderr).decode() + (f"exit code {done.returncode}" if done.returncode else "")


class Prometheus:
    """A server that runs."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def value(self, query: str) -> float | None:
        """Returns the value of an expression now; None if there is none."""
        result = (await self.ask("query", query=query))["result"]
        assert len(result) < 2, result
        return float(result[0]["value"][1]) if result else None

    async def until(self, query: str, value: float) -> None:
        """Returns when an expression has a value."""
        end = time.monotonic() + PATIENCE_SECONDS
        while (found := await self.value(query)) != value:
            assert time.monotonic() < end, f"{query} is {found}, not {value}"
            await asyncio.sleep(0.1)

    async def ask(self, what: str, **parameters: str) -> Any:
        """Returns the data of an answer of its API."""
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        return json.loads(await asyncio.to_thread(_get, url))["data"]


@asynccontextmanager
async def prometheus(folder: Path, endpoint: str, path: str = "/metrics") -> AsyncIterator[Prometheus]:
    """Runs a server that scrapes one endpoint, from when it is ready until the block is left."""
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(path=path, target=endpoint.removeprefix("http://")), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    command = [
        str(PROMETHEUS), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}", "--enable-feature=exemplar-storage",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    said = asyncio.ensure_future(process.stdout.read())
    try:
        end = time.monotonic() + PATIENCE_SECONDS
        while not await asyncio.to_thread(_ready, f"http://{address}/-/ready"):
            assert not said.done(), said.result().decode()
            assert time.monotonic() < end, "Prometheus does not get ready"
            await asyncio.sleep(0.05)
        yield Prometheus(f"http://{address}")
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        await said


def _ready(url: str) -> bool:
    try:
        _get(url)
    except OSError:
        return False
    return True


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - one of ours
        data: bytes = response.read()
        return data
