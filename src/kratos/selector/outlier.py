"""Nodes that fail where others do not are left alone for a while, and get their calls back little by little."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

from kratos.selector.base import Draw, Outcome

__all__ = ["DEFAULT_OUTLIER", "Ejection", "Ejections", "Outlier"]

_GOOD, _ERROR, _DOWN = Outcome.GOOD, Outcome.ERROR, Outcome.DOWN
_UNREACHED, _LEFT = Outcome.UNREACHED, Outcome.LEFT
_RETRY_SECONDS: Final = 1.0
_LONGEST_RETRY_SECONDS: Final = 30.0
_DOUBLINGS: Final = 16


@dataclass(frozen=True, slots=True)
class Outlier:
    """When a node is left alone.

    A node that cannot be connected to is left alone at once, for a second, then two, four and so on
    up to thirty; nothing limits how many these are. Then one call at a time finds out whether it is back.

    Attributes:
        consecutive: After how many calls in a row that it could not answer: 502, 503, 504, a lost connection.
        silence: Or after two in a row, if the second was sent so many seconds after the first, and nothing was answered
            in between. A node that hangs is given few calls: to wait for more of them would take long.
        margin: By how much its share of failed calls may be above that of the others, every 5xx but 501 being one.
        volume: How many calls to it have to be looked at before shares are compared.
        interval: Seconds that are looked at: the last one to two intervals count.
        seconds: How long it is left alone the first time; each time that follows soon is twice as long.
        longest: How long it is left alone at most.
        most: How many of the nodes may be left alone, as a share; one of two may always be.
        warm: Seconds in which it then gets its calls back, beginning with one in ten.
    """

    consecutive: int = 5
    silence: float = 1.0
    margin: float = 0.2
    volume: int = 20
    interval: float = 10.0
    seconds: float = 10.0
    longest: float = 300.0
    most: float = 0.5
    warm: float = 10.0

    def __post_init__(self) -> None:
        for name in ("consecutive", "silence", "margin", "volume", "interval", "seconds", "longest"):
            if getattr(self, name) <= 0:
                raise ValueError(f"Outlier({name}={getattr(self, name)}): it has to be more than 0")
        if not 0 <= self.most <= 1 or self.warm < 0:
            raise ValueError(
                f"Outlier(most={self.most}, warm={self.warm}): most is a share from 0 to 1, warm 0 or more"
            )


DEFAULT_OUTLIER: Final = Outlier()
"""What counts where nothing is said."""


class Ejection(NamedTuple):
    """A node is left alone.

    Attributes:
        address: Which one.
        cause: ``unreached``, ``consecutive``, ``silence`` or ``rate``.
        seconds: For how long.
    """

    address: str
    cause: str
    seconds: float


class Ejections:
    """Who is left alone now.

    Args:
        settings: When that is; None for nodes that cannot be connected to only.
        told: Called with each ejection.
        draw: Where chance comes from.

    Attributes:
        settings: May be replaced at any time.
        count: How many nodes there are, those that are left alone among them.
    """

    def __init__(
        self, settings: Outlier | None, *, told: Callable[[Ejection], object], draw: Draw = random.random
    ) -> None:
        self.settings = settings
        self.count = 0
        self._told = told
        self._draw = draw
        self._records: dict[str, _Record] = {}
        self._out: dict[str, float] = {}
        self._warming: dict[str, float] = {}
        self._doubted: set[str] = set()  # could not be connected to
        self._asked: set[str] = set()  # of these: who has a call that finds out, and is out meanwhile
        self._frozen: frozenset[str] = frozenset()
        self._soonest = inf
        self._window = 0.0
        self._calls = 0
        self._failures = 0

    def keep(self, addresses: Collection[str]) -> None:
        """Forgets all addresses but these."""
        for known in (self._records, self._out, self._warming):
            for address in [address for address in known if address not in addresses]:
                del known[address]
        self._doubted.intersection_update(addresses)
        self._asked.intersection_update(addresses)
        self._sum()
        self._changed()

    def out(self, now: float) -> frozenset[str]:
        """Returns who is left alone now, those that get only some of their calls back not among them."""
        if now >= self._soonest:
            self._return(now)
        return self._frozen

    def avoid(self, now: float) -> frozenset[str]:
        """Returns whom the next call is to avoid."""
        out = self.out(now)
        return out | frozenset(self._cold(now)) if self._warming else out

    @property
    def alone(self) -> frozenset[str]:
        """Who was left alone the last time that somebody asked."""
        return self._frozen

    @property
    def soonest(self) -> float:
        """When the next one comes back; infinite if nobody is left alone."""
        return self._soonest

    def sent(self, address: str, now: float) -> None:
        """Takes note that a call goes to an address.

        Where a node could not be connected to, others do not follow until that call has come through: to find out that
        a host is off takes its time.
        """
        if address in self._doubted and address not in self._out:
            self._asked.add(address)
            self._out[address] = now + _RETRY_SECONDS
            self._changed()

    def record(self, address: str, outcome: Outcome, now: float, began: float) -> None:
        """Takes what became of a call to an address.

        Args:
            address: Where it went.
            outcome: What became of it.
            now: The time.
            began: When it was sent.
        """
        if outcome is _LEFT:
            return
        if now >= self._soonest:
            self._return(now)
        record = self._records.get(address)
        if record is None:
            record = self._records[address] = _Record()
        if outcome is _UNREACHED:
            self._unreached(address, record, now)
            return
        if address in self._doubted:
            self._reached(address, record)
        if self.settings is not None:
            record.heard(outcome, now, began)
            self._judge(address, record, outcome, now, self.settings)

    def _reached(self, address: str, record: _Record) -> None:
        record.missed = 0
        self._doubted.discard(address)
        if address in self._asked:
            self._asked.discard(address)
            del self._out[address]
            self._changed()

    def _unreached(self, address: str, record: _Record, now: float) -> None:
        if self.count < 2 or (address in self._out and address not in self._asked):
            return
        self._doubted.add(address)
        self._asked.discard(address)
        seconds = min(_RETRY_SECONDS * 2 ** min(record.missed, _DOUBLINGS), _LONGEST_RETRY_SECONDS)
        record.missed += 1
        self._eject(address, "unreached", seconds, now)

    def _judge(self, address: str, record: _Record, outcome: Outcome, now: float, settings: Outlier) -> None:
        if now - self._window >= settings.interval:
            self._turn(now, settings)
        failed = outcome is not _GOOD
        record.add(failed)
        self._calls += 1
        self._failures += failed
        if not failed or address in self._out or not self._room(settings):
            return
        if record.row >= settings.consecutive:
            self._punish(address, record, "consecutive", now, settings)
        elif record.silent >= settings.silence:
            self._punish(address, record, "silence", now, settings)
        elif self._stands_out(record, settings):
            self._punish(address, record, "rate", now, settings)

    def _stands_out(self, record: _Record, settings: Outlier) -> bool:
        """Tells whether a node fails more often than all others together."""
        calls, failures = record.counts
        others = self._calls - calls
        if calls < settings.volume or not others:
            return False
        return failures / calls - (self._failures - failures) / others > settings.margin

    def _room(self, settings: Outlier) -> bool:
        allowed = 0 if self.count < 2 or not settings.most else max(1, int(self.count * settings.most))
        return len(self._out) < allowed

    def _punish(self, address: str, record: _Record, cause: str, now: float, settings: Outlier) -> None:
        # Good for as long as it was out the last time: that is forgiven.
        if now - record.until > max(settings.interval, record.seconds):
            record.times = 0
        record.seconds = min(settings.seconds * 2 ** min(record.times, _DOUBLINGS), settings.longest)
        record.times += 1
        record.until = now + record.seconds
        record.row = 0
        record.clear()
        self._sum()
        if settings.warm:
            self._warming[address] = record.until
        self._eject(address, cause, record.seconds, now)

    def _eject(self, address: str, cause: str, seconds: float, now: float) -> None:
        self._out[address] = now + seconds
        self._changed()
        self._told(Ejection(address, cause, seconds))

    def _return(self, now: float) -> None:
        for address in [address for address, until in self._out.items() if until <= now]:
            del self._out[address]
            self._asked.discard(address)
        self._changed()

    def _changed(self) -> None:
        self._frozen = frozenset(self._out)
        self._soonest = min(self._out.values(), default=inf)

    def _cold(self, now: float) -> Iterator[str]:
        """Yields who is back and does not get this call."""
        warm = 0.0 if self.settings is None else self.settings.warm
        for address, since in list(self._warming.items()):
            if now >= since + warm:
                del self._warming[address]
            elif now >= since and self._draw() >= max((now - since) / warm, 0.1):
                yield address

    def _turn(self, now: float, settings: Outlier) -> None:
        """Begins an interval; what is older than the last one is forgotten."""
        for record in self._records.values():
            record.turn()
            if now - self._window >= 2 * settings.interval:
                record.turn()
        self._window = now
        self._sum()

    def _sum(self) -> None:
        counts = [record.counts for record in self._records.values()]
        self._calls = sum(calls for calls, _ in counts)
        self._failures = sum(failures for _, failures in counts)

    def __repr__(self) -> str:
        return f"<Ejections {sorted(self._out)} out, {sorted(set(self._warming) - set(self._out))} warming up>"


class _Record:
    """What is known of one address.

    Attributes:
        row: How many calls in a row it could not answer.
        since: When the first of them began, or an answer came after that.
        silent: How much later the last one began.
        missed: How often in a row it could not be connected to.
        times: How often it was left alone for what it did, lately.
        seconds: For how long, the last time.
        until: When that ended, or ends.
    """

    __slots__ = ("_now", "_old", "missed", "row", "seconds", "silent", "since", "times", "until")

    def __init__(self) -> None:
        self.row = 0
        self.since = -inf
        self.silent = 0.0
        self.missed = 0
        self.times = 0
        self.seconds = 0.0
        self.until = 0.0
        self._old = (0, 0)
        self._now = (0, 0)

    @property
    def counts(self) -> tuple[int, int]:
        """How many calls there were in this interval and the one before, and how many of them failed."""
        return self._old[0] + self._now[0], self._old[1] + self._now[1]

    def heard(self, outcome: Outcome, now: float, began: float) -> None:
        """Takes note of an answer, or that there was none."""
        if outcome is not _DOWN:
            self.row, self.since, self.silent = 0, now, 0.0
        else:
            if not self.row:
                self.since = max(self.since, began)
            self.row += 1
            self.silent = began - self.since

    def add(self, failed: int) -> None:
        calls, failures = self._now
        self._now = calls + 1, failures + failed

    def turn(self) -> None:
        """Begins an interval."""
        self._old, self._now = self._now, (0, 0)

    def clear(self) -> None:
        self._old = (0, 0)
        self._now = (0, 0)
