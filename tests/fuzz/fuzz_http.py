"""Requests at random against the catalogue in a process of its own, for as long as you like.

    python tests/fuzz/fuzz_http.py --seconds 600

It ends with 1 at the first of these: a 5xx, a request that is not answered, a traceback in the server's log, memory
that grows, a server that does not answer a good request any more; and says seed, number and bytes of the request.
``--seed S --only N`` sends that one alone.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import sys
import time
from collections import Counter
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from conftest import pytest_configure

    pytest_configure()  # generates the messages

from catalogue.process import ServerProcess, running

from fuzz.requests_at_random import Case, case

__all__ = ["Finding", "fuzz"]

WORKERS = 8
PATIENCE = 15.0
SILENCE = 0.05
MOST = 200_000  # bytes of an answer that are read
WARM_UP = 5_000
GROWTH = 64 * 2**20
GOOD = b"GET /v1/now HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Finding(Exception):
    """Something is wrong with the server."""


async def fuzz(server: ServerProcess, seed: int, seconds: float, only: int | None = None) -> Counter[int]:
    """Sends requests until time is up.

    Args:
        server: Whom to send them.
        seed: Which requests.
        seconds: How long.
        only: The number of the only one to send.

    Returns:
        How often each status came back.

    Raises:
        Finding: The server is not as it should be.
    """
    seen: Counter[int] = Counter()
    if only is not None:
        await _one(server, seed, only, seen)
        _look(server, seed, only, None)
        return seen
    ends = time.monotonic() + seconds
    number, base = 0, None
    while time.monotonic() < ends:
        batch = range(number, number + 500)
        turns = iter(batch)

        async def work(turns: object = turns) -> None:
            for each in turns:  # type: ignore[attr-defined]
                await _one(server, seed, each, seen)

        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(work())
        number = batch.stop
        if base is None and number >= WARM_UP:
            base = server.resident()
        await _good(server, seed, number)
        _look(server, seed, number, base)
    seen[0] = number
    return seen


async def _one(server: ServerProcess, seed: int, number: int, seen: Counter[int]) -> None:
    sent = case(seed, number)
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await _exchange(server.port, sent)
    except TimeoutError:
        raise Finding(f"no answer in {PATIENCE:g} s to {_name(seed, number)}: {sent.sent!r}") from None
    statuses = [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) [^\r\n\\]*\r\n", answer)]
    seen.update(statuses)
    if any(status >= 500 for status in statuses) or re.search(rb'"code":5\d\d,', answer):
        raise Finding(f"a 5xx to {_name(seed, number)}: {sent.sent!r}\n{answer[:2000]!r}")
    if sent.whole and not statuses:
        raise Finding(f"nothing came back to {_name(seed, number)}: {sent.sent!r}\n{answer[:2000]!r}")


async def _exchange(port: int, sent: Case) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        writer.write(sent.sent)
        while len(answer) < MOST:
            # What is spoilt may be the beginning of something, for which the server waits rightly.
            part = await asyncio.wait_for(reader.read(65536), None if sent.whole else SILENCE)
            if not part:
                break
            answer += part
    except ConnectionError:
        pass
    except TimeoutError:
        if sent.whole:
            raise
    finally:
        writer.transport.abort()
    return answer


async def _good(server: ServerProcess, seed: int, number: int) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await _exchange(server.port, Case(GOOD, whole=True))
    except TimeoutError:
        answer = b""
    if not answer.startswith(b"HTTP/1.1 200"):
        raise Finding(f"no good answer any more before {_name(seed, number)}: {answer[:500]!r}")


def _look(server: ServerProcess, seed: int, number: int, base: int | None) -> None:
    try:
        server.check()
    except AssertionError as wrong:
        raise Finding(f"before {_name(seed, number)}: {str(wrong)[:8000]}") from None
    if base is not None and server.resident() - base > GROWTH:
        grown = (server.resident() - base) >> 20
        raise Finding(f"the server's memory has grown by {grown} MiB before {_name(seed, number)}")


def _name(seed: int, number: int) -> str:
    return f"--seed {seed} --only {number}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Sends requests at random.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--only", type=int)
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    with running() as server:
        try:
            seen = asyncio.run(fuzz(server, chosen.seed, chosen.seconds, chosen.only))
        except ExceptionGroup as findings:  # of workers
            print(*findings.exceptions, sep="\n")
            return 1
        except Finding as finding:
            print(finding)
            return 1
        print(f"{seen.pop(0, 1)} requests; {server.resident() >> 20} MiB; answers: {dict(sorted(seen.items()))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
