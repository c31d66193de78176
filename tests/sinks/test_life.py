"""The log of a service through its life, and what becomes of calls when nobody reads it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from adminport import ask
from fixtures.gen.fixture.secret.v1.secret_kratos import VaultClient
from fixtures.gen.fixture.secret.v1.secret_pb import Card, OpenRequest

from kratos import GRPCClient, HTTPClient
from kratos.errors import Error

TESTS = Path(__file__).parents[1]
NAMES = ("fine", "locked", "broken", "crash")
CALLS = 3000
LOST = re.compile(r'^kratos_log_lines_lost_total\{log="(\w+)"\} (\S+)$', re.MULTILINE)


def request(name: str) -> OpenRequest:
    return OpenRequest(name=name, pin="s3cret", card=Card(number="s3cret"), access_token="s3cret")  # noqa: S106


@contextmanager
def serving(*arguments: str, stderr: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, str(TESTS / "sinks" / "serving.py"), *arguments],
        stdout=subprocess.PIPE, stderr=stderr, text=True, env={**os.environ, "PYTHONPATH": str(TESTS)},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def endpoints(process: subprocess.Popen[str], said: list[str]) -> list[str]:
    """Reads until the service serves, and returns where: over HTTP, over gRPC, and for operators."""
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line)
        found: dict[str, Any] = json.loads(line)
        if "endpoints" in found:
            return list(found["endpoints"])
    raise AssertionError("".join(said))


def client(url: str) -> HTTPClient | GRPCClient:
    return HTTPClient(url) if url.startswith("http") else GRPCClient(url)


async def test_every_line_of_a_life_parses() -> None:
    """From start to end every line is a JSON object, each call has one access line, and no secret is in any."""
    said: list[str] = []
    with serving() as process:
        for url in (await asyncio.to_thread(endpoints, process, said))[:2]:
            async with client(url) as conn:
                for name in NAMES:
                    with contextlib.suppress(Error):
                        await VaultClient(conn).open(request(name))
        process.terminate()
        out, err = await asyncio.to_thread(process.communicate, timeout=60)
        assert process.returncode == 0
    assert out == ""
    said += err.splitlines(keepends=True)
    lines = [json.loads(line) for line in said]
    assert all({"ts", "level", "msg"} <= line.keys() for line in lines)
    calls = [line for line in lines if line.get("kind") == "server"]
    assert Counter((line["component"], line["args"]["name"], line["code"]) for line in calls) == Counter(
        (kind, name, code) for kind in ("http", "grpc") for name, code in zip(NAMES, (200, 403, 503, 500), strict=True)
    )
    crashes = [line for line in lines if line.get("logger") == "kratos.handler"]
    assert {line["operation"] for line in crashes} == {"/fixture.secret.v1.Vault/Open"}
    assert Counter(line["error_id"] for line in crashes) == Counter(
        line["error_id"] for line in calls if "error_id" in line
    )
    assert len([line for line in lines if line.get("logger") == "vault"]) == 8
    assert len([line for line in lines if line.get("logger") == "py.warnings"]) >= 1
    assert "s3cret" not in "".join(said)


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
async def test_nobody_reads_and_calls_go_on() -> None:
    """With a pipe and a Fluentd that take nothing, calls are answered as with those that do; it ends by itself too.

    What is lost is counted all the while. Ten calls are under way at a time, in one event loop: were each held up for
    50 ms, each would take half a second. benchmarks/stalled.py compares more closely.
    """
    took: dict[bool, list[float]] = {}
    lost: dict[bool, dict[str, float]] = {}
    for stalled in (False, True):
        with (
            socket.create_server(("127.0.0.1", 0)) as peer,
            serving(f"tcp://127.0.0.1:{peer.getsockname()[1]}") as process,
        ):
            said: list[str] = []
            url, _, admin = await asyncio.to_thread(endpoints, process, said)
            assert process.stderr is not None
            reading = threading.Thread(target=process.stderr.read)
            if not stalled:
                reading.start()
            took[stalled] = await times(url, CALLS)
            counted = LOST.findall((await ask(admin, "/metrics")).text)
            lost[stalled] = {log: float(count) for log, count in counted}
            process.terminate()
            assert await asyncio.to_thread(process.wait, 60) == 0
            if not stalled:
                reading.join()
    read, unread = (sorted(took[stalled]) for stalled in (False, True))
    for share in (0.5, 0.99):
        at = int(CALLS * share)
        assert unread[at] < 5 * read[at] + 0.2, f"{share:.0%} of calls: {read[at]:.4f} s, {unread[at]:.4f} s unread"
    assert {len(each) for each in took.values()} == {CALLS}
    assert lost[False]["access"] < lost[True]["access"]
    # A queue has 1,000 lines, a pipe some hundreds, and as many may be on their way.
    assert lost[True]["access"] < CALLS
    assert lost[True]["log"] > 0


async def times(url: str, count: int) -> list[float]:
    """Returns the seconds that calls took."""
    found: list[float] = []
    async with client(url) as conn:
        vault = VaultClient(conn)

        async def call() -> None:
            for _ in range(count // 10):
                start = time.perf_counter()
                await vault.open(request("x" * 100), timeout=60)
                found.append(time.perf_counter() - start)

        await asyncio.gather(*(call() for _ in range(10)))
    return found
