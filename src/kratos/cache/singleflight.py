"""One load for all who want the same at the same time.

A *flight* is one load of some keys, in a task of its own, so nobody takes it down by leaving: it is cancelled when the
last one has left. Whoever arrives while it is under way joins it, if what it knows of invalidations (its ticket) is
what the flight began with, if it is not older than invalidations are remembered, and if it does not wait for them: a
load may ask for what is cached itself.
"""

from __future__ import annotations

import asyncio
import copy
import sys
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Final, Generic, TypeVar

from kratos.cache.base import Ticket
from kratos.errors import GatewayTimeout

__all__ = ["Flight", "Flights", "LeaderLeft", "another"]

V = TypeVar("V")

_INSIDE: Final[ContextVar[weakref.ref[Flight[Any]] | None]] = ContextVar("kratos_cache_flight", default=None)
"""The flight whose load runs here; weakly, for what a load begins may go on for ever."""


class LeaderLeft(Exception):
    """The load failed because of whoever began it: others should try again."""


class Flight(Generic[V]):
    """One load of some keys.

    Attributes:
        tickets: The keys, each with the ticket it is loaded by.
        began: When, by the clock of the event loop.
        detached: Keys that were invalidated meanwhile: nobody joins, and nothing is kept.
        landed: The number of the landing; 0 while it is under way.
        asks: What its load has asked for and may wait for.
        depth: How many flights it is inside of.
    """

    def __init__(self, tickets: Mapping[str, Ticket], *, kept: bool, depth: int = 0) -> None:
        loop = asyncio.get_running_loop()
        self.tickets = tickets
        self.began = loop.time()
        self.detached: set[str] = set()
        self.landed = 0
        self.asks: set[Flight[Any]] = set()
        self.depth = depth
        self.task: asyncio.Task[None] | None = None
        self._done: asyncio.Future[None] = loop.create_future()
        self._results: Mapping[str, V] = {}
        self._failure: BaseException | None = None
        self._waiting = 1 if kept else 0
        self._left = False

    async def wait(self, *, leading: bool, again: bool = False) -> Mapping[str, V]:
        """Returns what was loaded, by key.

        Args:
            leading: Whether the caller began it.
            again: Whether the caller has tried again before: then being out of time is what it hears.

        Raises:
            LeaderLeft: Whoever began it has left or was out of time, and so it failed; never to whoever leads.
        """
        self._waiting += 1
        try:
            await asyncio.shield(self._done)
        except asyncio.CancelledError:
            self._left = self._left or leading
            raise
        finally:
            self._waiting -= 1
            if not self._waiting and not self._done.done() and self.task is not None:
                self.detached.update(self.tickets)  # nobody may join what is coming down
                self.task.cancel()
        if self._failure is None:
            return self._results
        if leading:
            raise self._failure
        if self._left or isinstance(self._failure, asyncio.CancelledError):
            raise LeaderLeft
        if not again and isinstance(self._failure, GatewayTimeout):  # perhaps its time, and not ours
            raise LeaderLeft
        raise another(self._failure)

    def waits_for(self, other: Flight[Any]) -> bool:
        """Tells whether it cannot end before another one has, as far as anybody knows."""
        seen: set[Flight[Any]] = set()
        ahead: list[Flight[Any]] = [self]
        while ahead:
            flight = ahead.pop()
            if flight is other:
                return True
            if flight not in seen:
                seen.add(flight)
                ahead += flight.asks
        return False

    def ask(self, other: Flight[Any]) -> None:
        """Notes that its load may wait for another flight."""
        self.asks.add(other)
        other._done.add_done_callback(lambda _: self.asks.discard(other))

    @property
    def delivered(self) -> bool:
        """Whether nobody waits any more."""
        return self._done.done()

    def deliver(self, results: Mapping[str, V]) -> None:
        """Gives what was loaded to all who wait."""
        if not self._done.done():
            self._results = results
            self._done.set_result(None)

    def fail(self, failure: BaseException) -> None:
        """Lets all who wait know that it has failed."""
        if not self._done.done():
            self._failure = failure
            self._done.set_result(None)


def another(failure: BaseException) -> BaseException:
    """Returns an exception like another one, for a second one to raise: a traceback belongs to one."""
    try:
        twin = copy.copy(failure)
    except Exception:  # its constructor takes something else than its arguments
        return failure
    if type(twin) is not type(failure) or twin.args != failure.args:
        return failure
    twin.__cause__ = failure
    return twin.with_traceback(None)


class _Slot(Generic[V]):
    """Who cares for a key: a flight, and those who look whether the cache has it."""

    __slots__ = ("flight", "last", "readers")

    def __init__(self) -> None:
        self.flight: Flight[V] | None = None
        self.last: Flight[V] | None = None
        self.readers = 0


class Flights(Generic[V]):
    """The flights of one cache, by key; it holds nothing about keys that nobody is asking for.

    Args:
        hold: For how many seconds invalidations are remembered: by an older flight nobody can tell of any.
    """

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._slots: dict[str, _Slot[V]] = {}
        self._alone: set[Flight[V]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._number = 0

    def begin(self, keys: Iterable[str]) -> int:
        """Notes that somebody is looking whether the cache has these keys, and returns when that began."""
        for key in keys:
            self._slots.setdefault(key, _Slot()).readers += 1
        return self._number

    def end(self, keys: Iterable[str]) -> None:
        """Notes that somebody has stopped looking."""
        for key in keys:
            slot = self._slots[key]
            slot.readers -= 1
            if not slot.readers:
                slot.last = None
                if slot.flight is None:
                    del self._slots[key]

    def find(self, key: str, ticket: Ticket, since: int = -1) -> Flight[V] | None:
        """Returns the flight that somebody may join.

        Args:
            key: What for.
            ticket: What is known of the key.
            since: When the asker began to look; one that has landed since then is as good as one that is under way.
        """
        slot = self._slots.get(key)
        if slot is None:
            return None
        oldest = asyncio.get_running_loop().time() - self._hold
        for flight in (slot.flight, slot.last):
            if flight is None or key in flight.detached or flight.tickets[key] != ticket or flight.began < oldest:
                continue
            if (not flight.landed or 0 <= since < flight.landed) and _joined(flight):
                return flight
        return None

    def launch(
        self,
        tickets: Mapping[str, Ticket],
        fly: Callable[[Flight[V]], Awaitable[None]],
        *,
        alone: bool = False,
        kept: bool = False,
    ) -> Flight[V]:
        """Begins a flight.

        Args:
            tickets: The keys to load, each with the ticket it is loaded by.
            fly: Loads and delivers; what it does afterwards is part of the flight, and nobody waits for that.
            alone: Whether nobody may join.
            kept: Whether it goes on when nobody waits.

        Raises:
            RecursionError: It is inside of too many others: a load asks for itself.
        """
        inside = _inside()
        depth = 0 if inside is None else inside.depth + 1
        if depth > sys.getrecursionlimit():
            raise RecursionError(f"loading {next(iter(tickets))!r} asks for itself, again and again")
        flight: Flight[V] = Flight(tickets, kept=kept, depth=depth)
        if inside is not None:
            inside.ask(flight)
        if alone:
            self._alone.add(flight)
        else:
            for key in tickets:
                self._slots.setdefault(key, _Slot()).flight = flight
        task = asyncio.create_task(_fly(flight, fly))
        flight.task = task
        self._tasks.add(task)

        def landed(_: object) -> None:  # told of every end, also of one before the first step
            self._tasks.discard(task)
            self._alone.discard(flight)
            flight.fail(asyncio.CancelledError())
            self._land(flight)

        task.add_done_callback(landed)
        return flight

    def detach(self, keys: Iterable[str]) -> None:
        """Has nobody join what is under way for these keys, nor keep what it brings."""
        for key in keys:
            slot = self._slots.get(key)
            for flight in (*self._alone, *(() if slot is None else (slot.flight, slot.last))):
                if flight is not None:
                    flight.detached.add(key)

    async def drain(self, seconds: float) -> int:
        """Waits for all flights and what they have to keep; returns how many were late, and are cancelled."""
        if not self._tasks:
            return 0
        _, late = await asyncio.wait(self._tasks, timeout=seconds)
        for task in late:
            task.cancel()
        return len(late)

    def _land(self, flight: Flight[V]) -> None:
        self._number += 1
        flight.landed = self._number
        for key in flight.tickets:
            slot = self._slots.get(key)
            if slot is None or slot.flight is not flight:
                continue
            slot.flight = None
            if slot.readers:
                slot.last = flight
            else:
                del self._slots[key]


def _inside() -> Flight[Any] | None:
    reference = _INSIDE.get()
    flight = None if reference is None else reference()
    return None if flight is None or flight.delivered else flight


def _joined(flight: Flight[Any]) -> bool:
    """Has whoever asks join a flight, unless both would wait for each other; tells whether it is joined."""
    inside = _inside()
    if inside is None or flight.delivered:
        return True
    if flight.waits_for(inside):
        return False
    inside.ask(flight)
    return True


async def _fly(flight: Flight[V], fly: Callable[[Flight[V]], Awaitable[None]]) -> None:
    _INSIDE.set(weakref.ref(flight))  # in this task, and those that it begins
    try:
        await fly(flight)
    except BaseException as failure:
        flight.fail(failure)
        if not isinstance(failure, Exception | asyncio.CancelledError):
            raise
