"""The values of one method: looked for in the cache, loaded where they are not there, and kept."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import math
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar, cast

from kratos.cache.base import NO_TICKET, NOTHING, CacheError, Encoder, Entry, Fill, Found, Ticket
from kratos.cache.options import Options
from kratos.cache.shared import Shared
from kratos.cache.singleflight import Flight, LeaderLeft

__all__ = ["Invalidating", "Values", "partial"]

K = TypeVar("K")
V = TypeVar("V")

Load: TypeAlias = Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]]
"""Loads keys; what there is not is not in the answer."""

logger = logging.getLogger("kratos.cache")

_ABSENT: Final[Any] = type("_Absent", (), {})()
"""What was found is that there is no such thing."""

_PARTIAL: Final = "__kratos_partial__"


class _Loaded(NamedTuple):
    """What a flight brings for one key."""

    value: Any
    entry: Entry | None


class Values(Generic[V]):
    """Entries of one kind. ``Cache.values`` makes them; one object serves all callers, in one event loop.

    Args:
        shared: The cache.
        options: How.
        encoder: How values become bytes.
        share: Whether nobody changes a value, so that one object may go to all.
    """

    def __init__(self, shared: Shared, options: Options, encoder: Encoder, *, share: bool) -> None:
        self.options = options
        self.prefix = f"{shared.prefix}{options.version}:" if options.version else shared.prefix
        self._shared = shared
        self._encoder = encoder
        self._share = share
        self._look_here = None if shared.local is None else shared.local.peek
        if shared.near is not None:
            self._look_here = shared.near.near
        self._renewing: set[str] = set()
        self._unfit = False
        self._counted()

    def _counted(self) -> None:
        self._generation = self._shared.generation
        self._counts = self._shared.figures.of(self.options.name)
        self._hit = self._counts.hits.add

    async def get(self, key: str, load: Callable[[], Awaitable[V]]) -> V:
        """Returns the value of a key: from the cache, or loaded.

        Args:
            key: The key, without prefix and version.
            load: Loads it; None is that there is no such thing. It runs in a task of its own and may serve others.

        Raises:
            CacheError: The cache does not answer, and ``on_cache_error="raise"``.
            Exception: Whatever ``load`` raises.
        """
        full = self.prefix + key
        value: Any = self.peek(full)
        if value is NOTHING:
            value = (await self._get((full,), _one(load))).get(full)
        return cast("V", value)

    async def get_many(
        self,
        wanted: Iterable[K],
        key: Callable[[K], str],
        load: Callable[[list[K]], Awaitable[Mapping[K, V]]],
    ) -> dict[K, V]:
        """Returns the values of several keys, less those that there are not.

        Args:
            wanted: Whose values; in the order of the answer, and twice is as good as once.
            key: Makes the key of each.
            load: Loads some of them.

        Raises:
            CacheError: The cache does not answer, and ``on_cache_error="raise"``.
            Exception: Whatever ``load`` raises, the first if several did; ``partial`` returns what there was.
        """
        keys = {self.prefix + key(each): each for each in wanted}
        if not keys:
            return {}
        try:
            found = await self._get((*keys,), _several(keys, load))
        except Exception as failure:
            got = vars(failure).get(_PARTIAL) if hasattr(failure, "__dict__") else None
            if got is not None:
                setattr(failure, _PARTIAL, {each: got[full] for full, each in keys.items() if full in got})
            raise
        return {each: found[full] for full, each in keys.items() if full in found}

    async def refresh(self, key: str, load: Callable[[], Awaitable[V]]) -> V:
        """Loads a value anew, keeps it, and returns it."""
        full = self.prefix + key
        value: Any = (await self._refresh((full,), _one(load))).get(full)
        found: V = value
        return found

    async def refresh_many(
        self,
        wanted: Iterable[K],
        key: Callable[[K], str],
        load: Callable[[list[K]], Awaitable[Mapping[K, V]]],
    ) -> dict[K, V]:
        """Loads several values anew, keeps them, and returns them."""
        keys = {self.prefix + key(each): each for each in wanted}
        found = await self._refresh((*keys,), _several(keys, load)) if keys else {}
        return {each: found[full] for full, each in keys.items() if full in found}

    async def invalidate(self, *keys: str) -> None:
        """Forgets keys: no read that begins after this returns finds, here or elsewhere, what was loaded before.

        Where the store does not answer it is told as soon as it does; until then nothing of it is believed here.

        Raises:
            CacheError: It does not answer, and too many invalidations wait for it already.
        """
        full = [self.prefix + key for key in keys]
        await self._forget(full)
        if self.options.invalidate_again:
            self._shared.aside(self._forget_again(full))

    def invalidating(self, *keys: str) -> Invalidating:
        """Forgets keys when the block ends that writes what they are about, whether well or not.

        Example:
            ``async with self._user.invalidating(f"user:{part(user.id)}"): await self._source.save(user)``
        """
        return Invalidating(self, keys)

    def peek(self, full: str) -> Any:
        """Returns the value of a key if it is in this process and fresh, else ``NOTHING``; counts a hit.

        Args:
            full: The key with all that stands in front of it.
        """
        look = self._look_here
        if look is None:
            return NOTHING
        entry = look(full).entry
        if entry is None or (entry.fresh != math.inf and entry.fresh <= self._shared.clock()):
            return NOTHING
        value = self._open(entry)
        if value is not NOTHING:
            if self._generation != self._shared.generation:
                self._counted()
            self._hit()
        return None if value is _ABSENT else value

    async def _get(self, keys: Sequence[str], load: Load, *, again: bool = False) -> dict[str, Any]:
        """Returns what there is of these keys."""
        flights = self._shared.flights
        since = flights.begin(keys)
        try:
            found = await self._look(keys)
            results, tickets, old = self._sorted(keys, found)
            waits = self._waits(tickets, since, load)
        finally:
            flights.end(keys)
        if old:
            self._renew_aside(old, load)
        if waits:
            left = await self._gather(waits, results, again=again)
            if left:
                results |= await self._get(left, load, again=True)
        return results

    async def _look(self, keys: Sequence[str], *, renew: bool = False) -> Sequence[Found]:
        """Asks the store; where it does not answer, nothing is there and nothing may be kept."""
        shared = self._shared
        if shared.local is not None:
            return [shared.local.peek(key) for key in keys]
        try:
            with shared.span("get", self.options.name) as note:
                found = await shared.guard.get(keys, renew=renew)
                note("cache.keys", len(keys))
                note("cache.hits", sum(each.entry is not None for each in found))
                return found
        except CacheError:
            self._error("get")
            if self.options.on_cache_error == "raise":
                raise
            return [Found(None, NO_TICKET)] * len(keys)

    def _sorted(
        self, keys: Sequence[str], found: Sequence[Found]
    ) -> tuple[dict[str, Any], dict[str, Ticket], list[str]]:
        """Returns what was found, the tickets of what was not, and what was found and is old."""
        results: dict[str, Any] = {}
        tickets: dict[str, Ticket] = {}
        old: list[str] = []
        hits = 0
        for key, (entry, ticket) in zip(keys, found, strict=True):
            value = NOTHING if entry is None else self._open(entry)
            if entry is None or value is NOTHING:
                tickets[key] = ticket
                continue
            hits += 1
            if value is not _ABSENT:
                results[key] = value
            if entry.fresh != math.inf and entry.fresh <= self._shared.clock():
                old.append(key)
        if self._generation != self._shared.generation:
            self._counted()
        if hits:
            self._counts.hits.add(hits)
        return results, tickets, old

    def _waits(
        self, tickets: Mapping[str, Ticket], since: int, load: Load
    ) -> list[tuple[Flight[_Loaded], list[str], bool]]:
        """Returns the flights to wait for, with the keys of each, and whether it was begun here."""
        joined: dict[Flight[_Loaded], list[str]] = {}
        own: list[str] = []
        for key, ticket in tickets.items():
            flight = self._shared.flights.find(key, ticket, since) if self.options.single_flight else None
            if flight is None:
                own.append(key)
            else:
                joined.setdefault(flight, []).append(key)
        if own:
            self._counts.misses.add(len(own))
        size = self.options.batch_size or len(own)
        groups = [own[start : start + size] for start in range(0, len(own), size)] if own else []
        limit = asyncio.Semaphore(self.options.max_concurrency or max(1, len(groups)))
        begun = [(self._launch({key: tickets[key] for key in group}, load, limit), group, True) for group in groups]
        return [*((flight, keys, False) for flight, keys in joined.items()), *begun]

    def _launch(
        self, tickets: Mapping[str, Ticket], load: Load, limit: asyncio.Semaphore, *, kept: bool = False
    ) -> Flight[_Loaded]:
        async def fly(flight: Flight[_Loaded]) -> None:
            keys = (*flight.tickets,)
            async with limit:
                with self._shared.span("load", self.options.name) as note:
                    note("cache.keys", len(keys))
                    loaded = await load(keys)
            results = {key: self._loaded(loaded.get(key)) for key in keys}
            if self.options.backfill == "async":
                flight.deliver(results)
            await self._keep(flight, results)
            flight.deliver(results)

        return self._shared.flights.launch(tickets, fly, alone=not self.options.single_flight, kept=kept)

    async def _gather(
        self, waits: Sequence[tuple[Flight[_Loaded], list[str], bool]], results: dict[str, Any], *, again: bool
    ) -> list[str]:
        """Adds what flights bring to the results; returns the keys that have to be tried again.

        Raises:
            Exception: The first failure of a flight; it has the results.
        """
        left: list[str] = []

        async def wait(flight: Flight[_Loaded], keys: list[str], leading: bool) -> None:
            try:
                brought = await flight.wait(leading=leading, again=again)
            except LeaderLeft:
                left.extend(keys)
                return
            for key in keys:
                value = self._mine(brought[key], leading=leading)
                if value is not None:
                    results[key] = value

        if len(waits) == 1:
            try:
                await wait(*waits[0])
            except Exception as failure:
                _attach(failure, results)
                raise
            return left
        first = await self._all([wait(*each) for each in waits])
        if first is not None:
            _attach(first, results)
            raise first
        return left

    async def _all(self, works: Iterable[Awaitable[None]]) -> BaseException | None:
        """Does several things at once and returns the first failure; whatever happens, nothing goes on afterwards."""
        tasks = [asyncio.ensure_future(work) for work in works]
        first: list[BaseException] = []

        def ended(task: asyncio.Future[None]) -> None:
            if not task.cancelled() and (failure := task.exception()) is not None:
                first.append(failure)
                if self.options.on_batch_error == "break":
                    for each in tasks:
                        each.cancel()

        for task in tasks:
            task.add_done_callback(ended)
        try:
            await asyncio.wait(tasks)
        finally:
            for task in tasks:
                task.cancel()
        return first[0] if first else next((asyncio.CancelledError() for task in tasks if task.cancelled()), None)

    def _loaded(self, value: Any) -> _Loaded:
        """Returns what to keep of a value, written before anybody can change it."""
        if value is None or self._is_null(value):
            return _Loaded(None, self._null() if self.options.null_ttl else None)
        if self._share and self._shared.local is not None:
            return _Loaded(value, Entry(value=value))
        try:
            data = self._encoder.encode(value)
        except Exception as failure:  # an encoder may be anybody's
            self._error("encode")
            if not self._unfit:
                self._unfit = True
                logger.warning("%s: a value cannot be kept, and is loaded each time: %s", self.options.name, failure)
            return _Loaded(value, None)
        return _Loaded(value, Entry(data, value=value if self._share else NOTHING, form=self._encoder.form))

    def _null(self) -> Entry:
        marker = self.options.null_value
        return Entry(None if marker is NOTHING else self._encoder.encode(marker), null=True, form=self._encoder.form)

    def _is_null(self, value: Any) -> bool:
        if self.options.null_value is NOTHING:
            return False
        return bool(value == self.options.null_value if self.options.is_null is None else self.options.is_null(value))

    def _open(self, entry: Entry) -> Any:
        """Returns the value of an entry: one of the caller's own, unless nobody can change it."""
        if entry.null:
            return _ABSENT
        value = entry.value
        if value is NOTHING:
            if entry.data is None or entry.form[:1] != self._encoder.form[:1]:  # of another version of the program
                self._error("decode")
                return NOTHING
            try:
                value = self._encoder.decode(entry.data)
            except Exception:  # the same, or a stranger's; an encoder may be anybody's
                self._error("decode")
                return NOTHING
            if self._share:
                entry.value = value
        return _ABSENT if value is None or self._is_null(value) else value

    def _mine(self, loaded: _Loaded, *, leading: bool) -> Any:
        """Returns a value that nobody else has, unless nobody can change it."""
        value, entry = loaded
        if leading or self._share or value is None:
            return value
        if entry is None or entry.data is None:
            return copy.deepcopy(value)
        return self._encoder.decode(entry.data)

    async def _keep(self, flight: Flight[_Loaded], results: Mapping[str, _Loaded]) -> None:
        shared = self._shared
        if asyncio.get_running_loop().time() - flight.began > shared.hold:
            return  # the store may have forgotten an invalidation since then
        fills = [
            self._fill(key, loaded.entry, flight.tickets[key])
            for key, loaded in results.items()
            if loaded.entry is not None and key not in flight.detached and flight.tickets[key] is not NO_TICKET
        ]
        if shared.local is not None:
            shared.local.put(fills)
            return
        if not fills:
            return
        if self.options.backfill == "async" and shared.filling + len(fills) > shared.waiting:
            self._counts.dropped.add(len(fills))
            return
        shared.filling += len(fills)
        try:
            with shared.span("fill", self.options.name) as note:
                note("cache.keys", len(fills))
                await shared.guard.fill(fills)
        except CacheError:
            self._error("fill")
        finally:
            shared.filling -= len(fills)

    def _fill(self, key: str, entry: Entry, ticket: Ticket) -> Fill:
        options = self.options
        shorter = 1 - options.jitter * random.random()  # noqa: S311 - it is no secret
        ttl = shorter * (options.null_ttl if entry.null else options.ttl)
        if options.stale:
            entry.fresh = self._shared.clock() + ttl
        return Fill(key, entry, ttl + options.stale, ticket)

    async def _refresh(self, keys: Sequence[str], load: Load) -> dict[str, Any]:
        found = await self._look(keys, renew=True)
        self._shared.flights.detach(keys)  # what began before must not be kept after this
        tickets = {key: each.ticket for key, each in zip(keys, found, strict=True)}
        flight = self._launch(tickets, load, asyncio.Semaphore(1))
        results: dict[str, Any] = {}
        await self._gather([(flight, [*keys], True)], results, again=True)
        return results

    def _renew_aside(self, keys: Iterable[str], load: Load) -> None:
        """Has what is old loaded anew, once, while everybody is answered from what there is."""
        some = tuple(key for key in keys if key not in self._renewing)
        if some:
            self._renewing.update(some)
            self._shared.aside(self._renew(some, load))

    async def _renew(self, keys: Sequence[str], load: Load) -> None:
        try:
            found = await self._look(keys, renew=True)
            now = self._shared.clock()
            tickets = {
                key: ticket
                for key, (entry, ticket) in zip(keys, found, strict=True)
                if (entry is None or entry.fresh <= now) and self._shared.flights.find(key, ticket) is None
            }
            if tickets:
                await self._launch(tickets, load, asyncio.Semaphore(1), kept=True).wait(leading=True)
        except Exception as failure:  # a source may raise anything; whoever wants the value later hears of it
            self._error("renew")
            logger.warning("%s: a value could not be loaded anew: %r", self.options.name, failure)
        finally:
            self._renewing.difference_update(keys)

    async def _forget(self, keys: Sequence[str]) -> None:
        shared = self._shared
        shared.flights.detach(keys)
        if shared.local is not None:
            shared.local.forget(keys)
            return
        try:
            with shared.span("invalidate", self.options.name) as note:
                note("cache.keys", len(keys))
                if not await shared.guard.invalidate(keys):
                    self._error("invalidate")
        finally:
            shared.flights.detach(keys)
            if shared.near is not None:  # also where the guard has not let it through
                shared.near.forget(keys)

    async def _forget_again(self, keys: Sequence[str]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.options.invalidate_again):
                await self._shared.ending.wait()
        with contextlib.suppress(CacheError):
            await self._forget(keys)

    def _error(self, what: str) -> None:
        if self._generation != self._shared.generation:
            self._counted()
        self._counts.errors.labels(self.options.name, what).add()


class Invalidating:
    """A block in which something is written. Of several each invalidates, whatever becomes of the others."""

    def __init__(self, values: Values[Any], keys: Sequence[str]) -> None:
        self._values = values
        self._keys = keys

    async def __aenter__(self) -> None:
        """Has nothing to do: what is read meanwhile may be old."""

    async def __aexit__(self, *_: object) -> None:
        """Invalidates; see ``Values.invalidate``."""
        await self._values.invalidate(*self._keys)


def partial(failure: BaseException, /) -> Mapping[Any, Any]:
    """Returns what a method for several keys had found or loaded when it failed with this; often nothing."""
    found: Mapping[Any, Any] = getattr(failure, _PARTIAL, {})
    return found


def _attach(failure: BaseException, results: Mapping[str, Any]) -> None:
    with contextlib.suppress(AttributeError):  # an exception with slots
        setattr(failure, _PARTIAL, dict(results))


def _one(load: Callable[[], Awaitable[Any]]) -> Load:
    async def by_key(keys: Sequence[str]) -> Mapping[str, Any]:
        return {keys[0]: await load()}

    return by_key


def _several(keys: Mapping[str, K], load: Callable[[list[K]], Awaitable[Mapping[K, V]]]) -> Load:
    async def by_key(some: Sequence[str]) -> Mapping[str, V]:
        loaded: Mapping[K, V] | None = await load([keys[each] for each in some])  # None, where sources are careless
        return {each: loaded[keys[each]] for each in some if keys[each] in loaded} if loaded else {}

    return by_key
