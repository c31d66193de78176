"""A thousand streams of events at a time, one event a second each: how late they come, and what they cost.

    python benchmarks/streams.py [streams] [seconds]

The server is a process of its own. Delivery is the time from the line before a handler's ``yield`` to the end of the
event at the client, both on one machine and one clock; client and server share its cores. CPU and memory are those of
the server's process. Linux only; about fifteen seconds.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

SERVER = Path(__file__).parent / "peers" / "streams_app.py"
REQUEST = b"GET /tick HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
MADE = re.compile(rb'"message":"(\d+)"')
PERCENTILES = (50, 90, 99, 99.9)


@contextmanager
def served() -> Iterator[tuple[int, int]]:
    """Runs the server; yields its process and its port."""
    process = subprocess.Popen([sys.executable, str(SERVER)], stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
    try:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def cpu(pid: int) -> float:
    """Returns the seconds of processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Returns the memory of a process in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def follow(port: int, late: list[float]) -> None:
    """Reads one stream, and keeps how late its events were, in milliseconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    try:
        while line := await reader.readline():
            made = MADE.search(line)
            if made is not None:
                late.append((time.monotonic_ns() - int(made[1])) / 1e6)
    finally:
        writer.close()


async def measure(pid: int, port: int, streams: int, seconds: float) -> None:
    """Opens the streams, lets them settle, and prints what was seen after that."""
    late: list[float] = []
    empty = resident(pid)
    tasks: list[asyncio.Task[None]] = []
    for _ in range(streams):  # a second for all of them, so that their events do not come in one heap
        tasks.append(asyncio.create_task(follow(port, late)))
        await asyncio.sleep(1 / streams)
    await asyncio.sleep(2)
    late.clear()
    used, began = cpu(pid), time.monotonic()
    await asyncio.sleep(seconds)
    share = (cpu(pid) - used) / (time.monotonic() - began)
    events = len(late)
    full = resident(pid)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    cuts = statistics.quantiles(late, n=1000)
    print(f"{streams} streams, {events} events in {seconds:g} s")
    print("delivery:", ", ".join(f"p{each:g} {cuts[round(each * 10) - 1]:.2f} ms" for each in PERCENTILES))
    print(f"server: {share:.0%} of a core, {share * seconds / events * 1e6:.0f} us an event")
    print(f"memory: {full:.0f} MiB, {(full - empty) / streams * 1024:.0f} KiB a stream")


def main(streams: int = 1000, seconds: float = 10) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with served() as (pid, port):
        uvloop.run(measure(pid, port, streams, seconds))


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:]))
