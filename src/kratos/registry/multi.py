"""Several registries at a time, for moving from one to another, or for being found in both."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextvars import Context
from typing import Final, Protocol, runtime_checkable

from kratos.metrics.base import Measured, Meter
from kratos.registry.base import Discovery, Instance, Registrar, Troubled

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
        self._registering: dict[str, set[asyncio.Task[None]]] = {}

    def __str__(self) -> str:
        """What they are, for the banner."""
        return " and ".join(map(str, self._registrars))

    async def register(self, instance: Instance, /) -> None:
        """Makes an instance known everywhere; returns when it can be found somewhere.

        The other registries have another second; after that they go on by themselves.

        Raises:
            ExceptionGroup: No registry takes it; the failures of all of them.
        """
        await self._stop_registering(instance)
        tasks = [self._begin(instance, registrar) for registrar in self._registrars]
        pending = set(tasks)
        while pending and not any(_succeeded(task) for task in tasks):
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if pending:
            await asyncio.wait(pending, timeout=_OTHERS_SECONDS)
        failures = [failure for task in tasks if (failure := _failure(task)) is not None]
        if failures and len(failures) == len(tasks):
            raise ExceptionGroup(f"{instance.name} is registered nowhere", failures)

    async def deregister(self, instance: Instance, /) -> None:
        """Makes an instance unknown everywhere.

        Raises:
            ExceptionGroup: What went wrong, after all registries were told.
        """
        await self._stop_registering(instance)
        results = await asyncio.gather(
            *(registrar.deregister(instance) for registrar in self._registrars), return_exceptions=True
        )
        failures = [result for result in results if isinstance(result, Exception)]
        if failures:
            raise ExceptionGroup(f"{instance.name} was not deregistered everywhere", failures)

    def trouble(self, instance: Instance, /) -> str:
        """Returns why an instance cannot be found somewhere; empty if all is well everywhere."""
        troubles = [
            f"{type(registrar).__name__}: {trouble}"
            for registrar in self._registrars
            if isinstance(registrar, Troubled) and (trouble := registrar.trouble(instance))
        ]
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
                found = _merged(known)
                if found != last and (found or len(known) == len(tasks)):
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
        for task in [task for tasks in self._registering.values() for task in tasks]:
            task.cancel()
        await asyncio.gather(*(each.aclose() for each in self._registries if isinstance(each, _Closing)))

    def _begin(self, instance: Instance, registrar: _Registers) -> asyncio.Task[None]:
        task = asyncio.create_task(registrar.register(instance), name=f"kratos register {instance.id}")
        tasks = self._registering.setdefault(instance.id, set())
        tasks.add(task)

        def end(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            if not tasks and self._registering.get(instance.id) is tasks:
                del self._registering[instance.id]
            failure = _failure(task)
            if failure is not None:
                logger.error("%s is not registered by %s: %r", instance.name, type(registrar).__name__, failure)

        task.add_done_callback(end)
        return task

    async def _stop_registering(self, instance: Instance) -> None:
        tasks = self._registering.pop(instance.id, set())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def _merged(known: Mapping[int, tuple[Instance, ...]]) -> tuple[Instance, ...]:
    """Returns all instances, in the order of their ids; what an earlier registry says of an id counts."""
    merged = {instance.id: instance for at in sorted(known, reverse=True) for instance in known[at]}
    return tuple(merged[each] for each in sorted(merged))


def _failure(task: asyncio.Task[None]) -> Exception | None:
    """Returns what went wrong in a task; None while it runs."""
    if not task.done() or task.cancelled():
        return None
    failure = task.exception()
    return failure if isinstance(failure, Exception) else None


def _succeeded(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
