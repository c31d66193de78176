"""Asking servers, round by round, and writing down what came of it.

Every server is a process of its own and all are alive from beginning to end. In each round every one is asked once, by
h2load, in an order that changes: so a machine that is busy slows down all of them, and the ratios within one run are
what counts. CPU is the time that all threads of a server were running, divided by the requests it answered. Latencies
are taken right after that, at half of the rate it had just reached. Servers share the machine with h2load and are not
pinned. Linux only.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from record import Comparison, Goal, Results, Subject
from servers import Program, Server, cpu_seconds, fleet, resident
from tables import markdown

__all__ = ["Contest", "Entry", "Load", "ask", "counted", "described", "finish", "machine", "options", "output", "run"]

H2LOAD = shutil.which("h2load") or ""
PACE = 80
MOST = 64


@dataclass(frozen=True)
class Load:
    """What is asked of a server.

    Attributes:
        path: Where it is asked, with the query.
        headers: What is sent along.
        check: Makes one call at an address and looks at the reply: a server that fails fast must not win.
        least: How many bytes a good reply has at least; a gRPC call that fails has none, and counts as succeeded for
            h2load.
        body: What is posted; None for a GET.
        http1: Whether HTTP/1.1 is spoken, else HTTP/2.
        connections: How many there are.
        streams: How many requests are under way in each.
        replies: How many messages a request brings; rates and CPU are per message.
    """

    path: str
    headers: dict[str, str]
    check: Callable[[str, int], None]
    least: int
    body: bytes | None = None
    http1: bool = True
    connections: int = 32
    streams: int = 1
    replies: int = 1


@dataclass(frozen=True)
class Entry:
    """A program that takes part in a contest, and what it is asked there."""

    program: Program
    load: Load


@dataclass(frozen=True)
class Contest:
    """Programs that are asked the same.

    Attributes:
        title: What is asked.
        baseline: The program that ratios are to.
        entries: Who takes part.
        goals: What is to be reached.
        unit: What is counted.
        waited: What a latency is of.
    """

    title: str
    baseline: str
    entries: list[Entry]
    goals: list[Goal]
    unit: str = "request"
    waited: str = "request"


@dataclass
class Trial:
    """One running server with one load."""

    server: Server
    load: Load
    folder: Path
    subject: Subject = field(init=False)

    def __post_init__(self) -> None:
        self.subject = Subject(self.server.program.name, self.server.program.ours)

    def measure(self, seconds: float) -> None:
        """Asks for some seconds as fast as can be, then at half of that, and writes down the figures of this round."""
        load, mine = self.load, self.subject
        before = cpu_seconds(self.server.pid)
        said = ask(self.server, load, self.folder, "-D", f"{seconds:g}")
        spent = cpu_seconds(self.server.pid) - before
        rate = counted(said, r"([\d.]+) req/s")
        mine.rates.append(rate * load.replies)
        mine.cpu.append(spent / counted(said, r"(\d+) succeeded") * 1e6 / load.replies)
        took = self.half(rate / 2, seconds)
        mine.p50.append(statistics.median(took))
        mine.p99.append(statistics.quantiles(took, n=100, method="inclusive")[98])

    def half(self, rate: float, seconds: float) -> list[int]:
        """Asks at a steady rate, and returns how many microseconds each request took.

        h2load wakes a connection every ten milliseconds at most and sends what is due by then in one go. So there are
        enough connections for each to have about one request at a time, within reason, and they begin one by one.
        """
        connections = min(math.ceil(rate / PACE), MOST)
        total = max(int(rate * seconds / connections), 2) * connections
        log = self.folder / "requests"
        log.unlink(missing_ok=True)
        spread = ["-n", str(total), "-r", "1", "--rate-period=1ms", "--rps", f"{rate / connections:.2f}"]
        ask(self.server, replace(self.load, connections=connections), self.folder, *spread, f"--log-file={log}")
        return [int(line.split("\t")[2]) for line in log.read_text().splitlines()]

    def forget(self) -> None:
        """Drops what was measured to warm up."""
        for figures in (self.subject.rates, self.subject.cpu, self.subject.p50, self.subject.p99):
            figures.clear()


def ask(server: Server, load: Load, folder: Path, *limits: str) -> str:
    """Runs h2load and returns what it says; refuses a run in which a request failed."""
    command = [H2LOAD, *(["--h1"] if load.http1 else []), "-t", "1", *limits]
    command += ["-c", str(load.connections), "-m", str(load.streams)]
    if load.body is not None:
        body = folder / "body"
        body.write_bytes(load.body)
        command += ["-d", str(body)]
    for name, value in load.headers.items():
        command += ["-H", f"{name}: {value}"]
    said = output(*command, f"http://127.0.0.1:{server.port}{load.path}")
    # What had not been answered when time was up counts as neither done nor failed.
    wrong = sum(counted(said, rf"(\d+) {word}") for word in ("failed", "errored", "3xx", "4xx", "5xx"))
    assert not wrong, f"{server.program.name}: {said}"
    done = counted(said, r"(\d+) succeeded")
    assert done, f"{server.program.name}: {said}"
    assert counted(said, r"\((\d+)\) data") >= done * load.least, f"{server.program.name} failed some calls: {said}"
    return said


def output(*command: str) -> str:
    """Returns what a program prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=1800)  # noqa: S603 - our own words
    return done.stdout


def counted(text: str, pattern: str) -> float:
    """Returns the number that a pattern finds."""
    match = re.search(pattern, text)
    assert match is not None, text
    return float(match[1])


def options(about: str | None, **numbers: float) -> argparse.Namespace:
    """Reads the command line: some numbers, which are rounds and seconds if nothing is said, and a file for results."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="a file for the results, which benchmarks/report.py reads")
    for name, value in (numbers or {"rounds": 3, "seconds": 3.0}).items():
        parser.add_argument(f"--{name}", type=type(value), default=value, help=f"{value} if not given")
    if not H2LOAD:
        parser.exit(1, "h2load is missing: apt-get install -y nghttp2-client\n")
    return parser.parse_args()


def run(name: str, contests: Sequence[Contest], wanted: argparse.Namespace) -> Results:
    """Runs all contests at once, round by round."""
    programs = dict.fromkeys(entry.program for contest in contests for entry in contest.entries)
    with fleet(programs) as group:
        running = {server.program: server for server in group.servers}
        trials = [
            [
                Trial(running[each.program], each.load, group.folder)
                for each in contest.entries
                if each.program in running
            ]
            for contest in contests
        ]
        turns = [trial for several in trials for trial in several]
        for trial in turns:
            trial.load.check(trial.server.program.name, trial.server.port)
            trial.measure(1)
            trial.forget()
        busy = os.getloadavg()[0]
        for number in range(wanted.rounds):
            print(f"{name}: round {number + 1} of {wanted.rounds}", file=sys.stderr)
            random.shuffle(turns)
            for trial in turns:
                trial.measure(wanted.seconds)
        for trial in turns:
            trial.subject.rss = resident(trial.server.pid)
    compared = [
        Comparison(each.title, each.baseline, [trial.subject for trial in several], each.goals, each.unit, each.waited)
        for each, several in zip(contests, trials, strict=True)
    ]
    rounds = f"{wanted.rounds} rounds of {wanted.seconds:g} s, median [lowest-highest], ratios paired by round"
    return Results(name, [f"{rounds}; {machine(busy)}.", *described(group.versions, group.absent)], compared)


def machine(busy: float) -> str:
    """Returns what the machine is and how busy it was, our own warm-up included."""
    return f"{os.cpu_count()} cores shared with the load generator, load before the first round {busy:.1f}"


def described(versions: Iterable[str], absent: Iterable[str]) -> list[str]:
    """Returns which versions ran, and what did not run."""
    h2load = output(H2LOAD, "--version").strip().replace("nghttp2/", "")
    return [f"{', '.join([*versions, h2load])}.", *absent]


def finish(results: Results, wanted: argparse.Namespace) -> None:
    """Prints the results, and keeps them where they are wanted."""
    print(markdown(results))
    if wanted.json is not None:
        results.save(wanted.json)
