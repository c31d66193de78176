"""Several registries at a time, for moving from one to another, or for being found in both."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from typing import Final, Protocol, runtime_checkable

from kratos.metrics.base import Measured, Meter
from kratos.registry.base import Discovery, Instance, InvalidInstance, Registrar, Troubled
from kratos.registry.listing import ordered
from kratos.registry.pacing import batches, paced
from kratos.registry.patience import Patience

__all__ = ["MultiRegistry"]

logger = logging.getLogger("kratos.registry")

_OTHERS_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 1.0


@runtime_checkable
class _Registers(Protocol):
    async def register(self, instance: Instance, /) -> None: ...

    async def deregister(self, instance: Instance, /) -> None: ...


@runtime_checkable
class _Finds(Protocol):
    def watch(self, name: str, scheme: str | None = None, /) -> AsyncIterator[tuple[Instance, ...]]: ...


@runtime_checkable
class _Closing(Protocol):
    async def aclose(self) -> None: ...


class MultiRegistry:
    """Registers everywhere, and finds what is registered anywhere. No registry waits for another.

    Args:
        registries: Registries, the more trusted first. One that only registers, or only finds, is asked for that.

    Raises:
        ValueError: There is none.
        TypeError: One of them is no registry.
    """

    def __init__(self, *registries: Registrar | Discovery) -> None:
        if not registries:
            raise ValueError("MultiRegistry needs a registry at least, and is pointless with fewer than two")
        for each in registries:
            if not isinstance(each, _Registers | _Finds):
                raise TypeError(f"{each!r} is no registry: it can neither register nor watch")
        self._registries = registries
        self._registrars = [each for each in registries if isinstance(each, _Registers)]
        self._discoveries = [each for each in registries if isinstance(each, _Finds)]
        self._asked: dict[tuple[str, str], list[_Asked]] = {}
        self._patience = Patience()

    def __str__(self) -> str:
        """What they are, for the banner."""
        return " and ".join(map(str, self._registrars))

    async def register(self, instance: Instance, /) -> None:
        """Makes an instance known everywhere; returns when it can be found somewhere.

        The other registries have another second; after that they go on by themselves. One that fails is asked again
        until it takes the instance, if another one has taken it.

        Raises:
            ExceptionGroup: No registry takes it; the failures of all of them.
        """
        await self._stop_asking(instance)
        news = asyncio.Event()
        asked = [_Asked(registrar, instance, self._patience, news) for registrar in self._registrars]
        self._asked[instance.name, instance.id] = asked
        while any(each.is_silent for each in asked) and all(each.trouble for each in asked):
            await news.wait()
            news.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_OTHERS_SECONDS):
                while any(each.is_silent for each in asked):
                    await news.wait()
                    news.clear()
        failures = [each.failure for each in asked if each.failure is not None and each.trouble]
        if failures and len(failures) == len(asked):
            await self._stop_asking(instance)
            raise ExceptionGroup(f"{instance.name} is registered nowhere", failures)

    async def deregister(self, instance: Instance, /) -> None:
        """Makes an instance unknown everywhere.

        Raises:
            ExceptionGroup: What went wrong, after all registries were told.
        """
        await self._stop_asking(instance)
        results = await asyncio.gather(
            *(registrar.deregister(instance) for registrar in self._registrars), return_exceptions=True
        )
        failures = [result for result in results if isinstance(result, Exception)]
        if failures:
            raise ExceptionGroup(f"{instance.name} was not deregistered everywhere", failures)

    def trouble(self, instance: Instance, /) -> str:
        """Returns why an instance cannot be found somewhere; empty if all is well everywhere."""
        asked = {id(each.registrar): each.trouble for each in self._asked.get((instance.name, instance.id), ())}
        troubles: list[str] = []
        for registrar in self._registrars:
            told = registrar.trouble(instance) if isinstance(registrar, Troubled) else ""
            if trouble := told or asked.get(id(registrar), ""):
                troubles.append(f"{type(registrar).__name__}: {trouble}")
        return "; ".join(troubles)

    async def watch(self, name: str, scheme: str | None = None, /) -> AsyncIterator[tuple[Instance, ...]]:
        """Yields the instances of a service that any of the registries knows, each id once; see ``Discovery``.

        An empty list comes when all registries have answered.
        """
        changed = asyncio.Event()
        known: dict[int, tuple[Instance, ...]] = {}

        async def follow(at: int, discovery: _Finds) -> None:
            while True:
                try:
                    async for known[at] in discovery.watch(name, scheme):
                        changed.set()
                except Exception:
                    logger.exception("watching %s by %s failed", name, type(discovery).__name__)
                await asyncio.sleep(_RETRY_SECONDS)

        tasks = [
            asyncio.create_task(follow(at, each), name=f"kratos watch {name}", context=Context())
            for at, each in enumerate(self._discoveries)
        ]
        try:
            last: tuple[Instance, ...] | None = None
            while True:
                changed.clear()
                answers = {**known}  # others may come while these are merged
                found = await _merged(answers)
                if found != last and (found or len(answers) == len(tasks)):
                    last = found
                    yield found
                await changed.wait()
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    def measure(self, meter: Meter, /) -> None:
        """Has all registries show what they have."""
        for each in self._registries:
            if isinstance(each, Measured):
                each.measure(meter)

    async def aclose(self) -> None:
        """Closes all registries."""
        for asked in [*self._asked.values()]:
            for each in asked:
                each.task.cancel()
        await asyncio.gather(*(each.aclose() for each in self._registries if isinstance(each, _Closing)))

    async def _stop_asking(self, instance: Instance) -> None:
        while asked := self._asked.pop((instance.name, instance.id), None):  # another one may have come meanwhile
            for each in asked:
                each.task.cancel()
            await asyncio.wait([each.task for each in asked])


class _Asked:
    """One registrar that is asked to take an instance, until it has done so.

    Attributes:
        registrar: Who is asked.
        trouble: Why it has not taken it; empty if it has.
        failure: What came of the first attempt, if that has failed.
        task: Who asks.
    """

    def __init__(self, registrar: _Registers, instance: Instance, patience: Patience, news: asyncio.Event) -> None:
        self.registrar = registrar
        self.trouble = "it is being registered"
        self.failure: Exception | None = None
        self._instance = instance
        self._patience = patience
        self._news = news
        name = f"kratos register {instance.id}"
        # In a context of its own: it may go on when whoever has started it is done.
        self.task = asyncio.create_task(self._run(), name=name, context=Context())
        self.task.add_done_callback(lambda _: news.set())

    @property
    def is_silent(self) -> bool:
        """Whether the first attempt is under way."""
        return self.failure is None and not self.task.done()

    async def _run(self) -> None:
        name = type(self.registrar).__name__
        failures = 0
        while (failure := await self._attempt()) is not None:
            failures += 1
            self.trouble = f"{type(failure).__name__}: {failure}"
            is_final = isinstance(failure, InvalidInstance)
            if failures == 1:
                more = "" if is_final else ". Trying again until it is"
                logger.error("%s is not registered by %s: %r%s", self._instance.name, name, failure, more)
                self.failure = failure
                self._news.set()
            if is_final:
                return
            await asyncio.sleep(self._patience.pause(failures))
        self.trouble = ""
        if failures:
            logger.warning("%s is registered by %s, after %d attempts that failed", self._instance.name, name, failures)

    async def _attempt(self) -> Exception | None:
        try:
            await self.registrar.register(self._instance)
        except Exception as failure:
            return failure
        return None


async def _merged(known: Mapping[int, tuple[Instance, ...]]) -> tuple[Instance, ...]:
    """Returns all instances, in the order of their ids; what an earlier registry says of an id counts."""
    merged: dict[str, Instance] = {}
    await paced(_merging([known[at] for at in sorted(known, reverse=True)], merged))
    return await ordered(merged)


def _merging(lists: Iterable[Sequence[Instance]], merged: dict[str, Instance]) -> Iterator[None]:
    for listed in lists:
        for some in batches(listed):
            merged.update((instance.id, instance) for instance in some)
            yield
