"""Overload, failing nodes, backends that heal and a registry that is away, for real: is what is promised kept?

    python benchmarks/faults.py [http|grpc] [--only overload|failing|healing|restarted|registry] [--docs FOLDER]

Servers are processes of their own, and this one is their client, over loopback. What a server can do is measured before
and after each load, on one of its kind that has nothing else to do: shares are of that. Other work on the machine makes
them worse all the same: leave it alone. It takes five minutes for both transports and prints a table of what was
promised and what was seen; where a promise was not kept it exits with 1. It needs etcd for the registry.

With ``--docs`` it takes two minutes more over HTTP, draws ``overload``, ``failing-nodes`` and ``outage`` (``.svg`` and
``.png``) into a folder, and writes what it saw between the marks of its resilience.md, balancing.md and registry.md.
That needs matplotlib (``pip install --group plots``).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bounds import Bound, of_failing, of_healing, of_outage, of_overload, of_restarted, table
from faultplots import draw_failing, draw_outage, draw_overload
from offering import Log, percentile
from outages import DOWN, EMPTY, FAILING, Outage, Sent, failing, healing, registry, restarted
from overload import LOADS, Overload, overload

__all__ = ["main"]

SHORT = 12.0  # seconds of load on a node that fails, where nothing is drawn


def fill(document: Path, name: str, text: str) -> None:
    """Writes what was seen between the marks of a document."""
    said = document.read_text(encoding="utf-8")
    pattern = rf"(<!-- chaos: {name} -->).*?(<!-- end -->)"
    filled, count = re.subn(pattern, lambda found: f"{found[1]}\n\n{text}\n\n{found[2]}", said, flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"{document}: there is no <!-- chaos: {name} --> with an <!-- end -->")
    document.write_text(filled, encoding="utf-8")


def tell_overload(kind: str, seen: Overload) -> str:
    """Returns a table of answers in time and of how long callers waited."""
    rows = [
        f"| {load:g} | {with_:.0%} | {without:.0%} | {p99 * 1000:.0f} ms | {other * 1000:.0f} ms |"
        for load, with_, without, p99, other in zip(
            (*LOADS, 3.0), seen.share[True], seen.share[False], seen.p99[True], seen.p99[False], strict=True
        )
    ]
    rates = seen.rates
    return "\n".join(
        (
            "| come in, of what it can | answered in time with `ratelimit()` | without | p99 with | without |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"Seen over {kind}, {_machine()}: {statistics.median(rates):.0f} calls a second were what it could, from",
            f"{min(rates):.0f} to {max(rates):.0f} as it was measured in between. p99 is of what was not turned away.",
        )
    )


def tell_failing(logs: dict[str, Log]) -> str:
    """Returns a table of failures, and of how long calls took."""
    rows = ["| | calls that failed | while it is left alone | p99 while it is left alone |", "|---|---|---|---|"]
    for name, log in logs.items():
        begin, end = 3.0, 10.0
        later = log.between(begin, end)
        failed = [sum(bool(call.reason) for call in some) / len(some) for some in (log.calls, later)]
        p99 = percentile([call.seconds for call in later])
        rows.append(f"| {name} | {failed[0]:.1%} | {failed[1]:.1%} | {p99 * 1000:.0f} ms |")
    rows += ["", f"{FAILING:.0f} s at 60 calls a second each, all at once, {_machine()}; left alone: from 3 to 10 s."]
    return "\n".join(rows)


def tell_healing(logs: dict[str, Log], sent: dict[str, Sent]) -> str:
    """Returns what was sent of what was asked for."""
    rows = [
        "| | sent in the first 2 s that it is down | after 3 s | 8 to 10 s after it is back | sent in all |",
        "|---|---|---|---|---|",
    ]
    for name, log in logs.items():
        begin, end = DOWN
        figures = [
            sum(since <= at < until for at in sent[name].times) / len(log.between(since, until))
            for since, until in ((begin, begin + 2), (begin + 3, end), (end + 8, end + 10), (0.0, 1000.0))
        ]
        rows.append(f"| {name} | {' | '.join(f'{figure:.0%}' for figure in figures)} |")
    rows += ["", f"Of what was asked for; down from {begin:.0f} to {end:.0f} s, {_machine()}."]
    return "\n".join(rows)


def tell_outage(seen: Outage) -> str:
    """Returns what was seen while the registry was away."""
    calls = [call for log in seen.logs.values() for call in log.calls]
    failed = [call for call in calls if call.reason]
    values = [value for _, value in seen.gauge]
    turns = [value for at, value in enumerate(values) if at == 0 or values[at - 1] != value]
    dead = f"{len(seen.dead)}, the last one {max(seen.dead) * 1000:.0f} ms after" if seen.dead else "none"
    return "\n".join(
        (
            f"Seen over HTTP and gRPC at once, 100 calls a second each, {_machine()}: of {len(calls)} calls",
            f"{len(failed)} failed. etcd was away for {EMPTY[1] - EMPTY[0]:.0f} s and came back empty;",
            f"{seen.back:.1f} s later all three nodes were in it, once each. How many said `kratos_registered` 1:",
            f"{', '.join(map(str, turns))}. Calls that ended at the node that was killed: {dead}.",
        )
    )


def _machine() -> str:
    return f"{os.cpu_count()} cores, CPython {platform.python_version()}, load {os.getloadavg()[0]:.1f}"


async def judge(kind: str, only: Sequence[str], docs: Path | None) -> list[Bound]:
    """Runs what depends on the transport; what is written down is that over HTTP."""
    bounds: list[Bound] = []
    folder = docs if kind == "http" else None
    if "overload" in only:
        seen = await overload(kind, LOADS if folder else ())
        bounds += of_overload(kind, seen)
        if folder:
            fill(folder / "resilience.md", "overload", tell_overload(kind, seen))
            draw_overload(folder, seen)
    if "healing" in only:
        logs, sent = await healing(kind)
        bounds += of_healing(kind, logs, sent)
        if folder:
            fill(folder / "resilience.md", "healing", tell_healing(logs, sent))
    if "failing" in only:
        logs = await failing(kind, FAILING if folder else SHORT)
        bounds += of_failing(kind, logs)
        if folder:
            fill(folder / "balancing.md", "failing", tell_failing(logs))
            draw_failing(folder, logs)
    return bounds


async def judge_registry(docs: Path | None) -> list[Bound]:
    """Runs what needs etcd; without it that promise is not kept."""
    seen = await registry()
    if seen is None:
        return [Bound("etcd back empty: all in it", "no etcd: apt-get install etcd-server etcd-client", kept=False)]
    if docs:
        fill(docs / "registry.md", "outage", tell_outage(seen))
        draw_outage(docs, seen)
    return of_outage(seen)


async def run(kinds: Sequence[str], only: Sequence[str], docs: Path | None) -> list[Bound]:
    """Runs what is wanted, draws it and writes it down; returns what was promised and what was seen."""
    bounds: list[Bound] = []
    for kind in kinds:
        bounds += await judge(kind, only, docs)
    if "restarted" in only:
        bounds += of_restarted(*await restarted())
    if "registry" in only:
        bounds += await judge_registry(docs)
    return bounds


def main() -> None:
    """Reads the command line, runs, and exits with 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("http", "grpc"), nargs="?", help="both if not said")
    names = ("overload", "healing", "failing", "restarted", "registry")
    parser.add_argument("--only", choices=names, action="append", help="may be said several times")
    parser.add_argument("--docs", type=Path, help="draws and writes what was seen over HTTP into this folder")
    wanted = parser.parse_args()
    began = time.monotonic()
    kinds = [wanted.kind] if wanted.kind else ["http", "grpc"]
    bounds = asyncio.run(run(kinds, wanted.only or names, wanted.docs))
    print(table(bounds))
    broken = sum(not bound.kept for bound in bounds)
    print(f"\n{len(bounds) - broken} of {len(bounds)} kept, {_machine()}, {time.monotonic() - began:.0f} s")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    logging.getLogger("kratos").setLevel(logging.ERROR)
    main()
