"""What is promised of overload, failing nodes, healed backends and lost registries, and whether it was kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from offering import Asked, Log, percentile
from outages import AWAY, DOWN, EMPTY, KILLED, Outage, Sent
from overload import Overload

__all__ = ["Bound", "of_failing", "of_healing", "of_outage", "of_overload", "of_restarted", "table"]

GOODPUT, COLLAPSED = 0.9, 0.3  # answered in time at three times too much, of what can be
ALONE = 3.0, 10.0  # seconds in which the node that fails is left alone
FAILED, FAILED_OTHERWISE, FAILED_IN_ALL = 0.01, 0.05, 0.03
P99_SECONDS = 0.1  # a call to the node that fails takes twice that
BACK_WITHIN = 10.0  # seconds
BACK = 0.9
AMPLIFIED, AMPLIFIED_OTHERWISE = 1.2, 2.0
DEAD_SECONDS = 1.0


class Bound(NamedTuple):
    """One promise.

    Attributes:
        name: What is promised.
        seen: What was seen.
        kept: Whether that is what was promised.
    """

    name: str
    seen: str
    kept: bool


def table(bounds: Sequence[Bound]) -> str:
    """Returns them as a table."""
    rows = [f"| {bound.name} | {bound.seen} | {'yes' if bound.kept else 'NO'} |" for bound in bounds]
    return "\n".join(("| bound | seen | kept |", "|---|---|---|", *rows))


def of_overload(kind: str, seen: Overload) -> list[Bound]:
    """Three times too much: with a limiter nearly all that can be done is, without next to nothing."""
    limited, other = (seen.share[each][-1] for each in (True, False))
    name = f"{kind}: answered in time at 3 x capacity, of what can be"
    return [
        Bound(f"{name}, with ratelimit() >= {GOODPUT:.0%}", f"{limited:.0%}", limited >= GOODPUT),
        Bound(f"{name}, without <= {COLLAPSED:.0%}", f"{other:.0%}", other <= COLLAPSED),
    ]


def of_failing(kind: str, logs: dict[str, Log]) -> list[Bound]:
    """A node of three fails 30 %: ejection bounds how many calls fail, and how long they take."""
    plain, ejecting, usual = logs.values()
    name = f"{kind}: one of three nodes fails 30 %,"
    without, with_ = (_failed(log.between(*ALONE)) for log in (plain, ejecting))
    p99 = percentile([call.seconds for call in ejecting.between(*ALONE)])
    whole = _failed(usual.calls)
    return [
        Bound(f"{name} without ejection >= {FAILED_OTHERWISE:.0%} fail", f"{without:.1%}", without >= FAILED_OTHERWISE),
        Bound(f"{name} while it is left alone <= {FAILED:.0%} fail", f"{with_:.1%}", with_ <= FAILED),
        Bound(f"{name} p99 meanwhile <= {P99_SECONDS * 1000:.0f} ms", f"{p99 * 1000:.0f} ms", p99 <= P99_SECONDS),
        Bound(f"{name} by default <= {FAILED_IN_ALL:.0%} fail in all", f"{whole:.1%}", whole <= FAILED_IN_ALL),
    ]


def of_healing(kind: str, logs: dict[str, Log], sent: dict[str, Sent]) -> list[Bound]:
    """A backend fails and heals: breakers let calls through again, and retries stay within their budget."""
    bounds = [
        _back(f"{kind}: {name}, answered {BACK_WITHIN:.0f} s after it is healed", log, DOWN[1])
        for name, log in logs.items()
        if name.startswith("breaker")
    ]
    asked = {name: sorted(call.at for call in log.calls) for name, log in logs.items()}
    most = _amplification(asked["retry()"], sent["retry()"].times)
    during, unbounded = (
        _count(sent[name].times, *DOWN) / max(_count(asked[name], *DOWN), 1)
        for name in ("retry()", "retry(), no budget")
    )
    return [
        *bounds,
        Bound(
            f"{kind}: retry() sends <= {AMPLIFIED:g} of what was asked for up to any moment",
            f"{most:.2f}",
            most <= AMPLIFIED,
        ),
        Bound(f"{kind}: and while it is down", f"{during:.2f}", round(during, 2) <= AMPLIFIED),
        Bound(
            f"{kind}: without its budget, while it is down, >= {AMPLIFIED_OTHERWISE:g}",
            f"{unbounded:.2f}",
            unbounded >= AMPLIFIED_OTHERWISE,
        ),
    ]


def of_restarted(logs: dict[str, Log], back: float) -> list[Bound]:
    """A process is killed and starts again: the same for a breaker, and for a channel that has lost its server."""
    name = f"killed for {AWAY[1] - AWAY[0]:.0f} s, breaker(), answered {BACK_WITHIN:.0f} s after it is back"
    return [_back(f"{kind}: {name}", log, back) for kind, log in logs.items()]


def of_outage(seen: Outage) -> list[Bound]:
    """A registry goes, and comes back empty; a node is killed."""
    values = [value for at, value in seen.gauge if at < KILLED]
    turns = [value for at, value in enumerate(values) if at == 0 or values[at - 1] != value]
    most = max((keys for _, keys in seen.keys), default=0)
    failed = sum(bool(call.reason) for log in seen.logs.values() for call in log.between(0, KILLED))
    whole = max(turns, default=0)
    swung = bool(turns) and turns[0] == turns[-1] == whole > 0 and 0 in turns
    dead = max(seen.dead, default=0.0)
    back = f"{seen.back:.1f} s" if seen.back else f"not within {KILLED - EMPTY[1]:.0f} s"
    return [
        Bound(f"etcd back empty: all in it within {BACK_WITHIN:.0f} s", back, 0 < seen.back <= BACK_WITHIN),
        Bound("etcd back empty: each in it once", f"{most} for {whole}", most == whole > 0),
        Bound("registered: all, none, all", ", ".join(map(str, turns)), swung),
        Bound("calls that fail while etcd is away: 0", str(failed), failed == 0),
        Bound(f"killed node: no call after {DEAD_SECONDS:g} s", f"{dead * 1000:.0f} ms", dead <= DEAD_SECONDS),
    ]


def _failed(calls: Sequence[Asked]) -> float:
    return sum(bool(call.reason) for call in calls) / max(len(calls), 1)


def _back(name: str, log: Log, since: float) -> Bound:
    """Looks at the two seconds around the moment at which it is to be back."""
    calls = log.between(since + BACK_WITHIN - 1, since + BACK_WITHIN + 1)
    answered = 1 - _failed(calls) if calls else 0.0
    return Bound(f"{name} >= {BACK:.0%}", f"{answered:.0%}", answered >= BACK)


def _amplification(asked: Sequence[float], sent: Sequence[float]) -> float:
    """Returns the most that was sent by any moment, of what had been asked for by then; the first second is little."""
    return max((_count(sent, 0.0, at + 0.01) / number for number, at in enumerate(asked, 1) if at > 1.0), default=0.0)


def _count(times: Sequence[float], begin: float, end: float) -> int:
    return sum(begin <= at < end for at in times)
