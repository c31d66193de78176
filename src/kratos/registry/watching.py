"""``Watches``: what tells watchers who serves, whatever becomes of the registry.

However many watch a service, the driver is asked for it once. What it has said last stays true while it says nothing.

A registry that was away may have lost its memory, and would make every client believe that nobody serves. So what it
does not know any more when it comes back stays in the list for a while, until it is told anew or the time of grace is
over. What it takes back while it is there is believed at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from contextvars import Context
from typing import Final

from kratos.errors import Error
from kratos.registry.base import Instance, Lister
from kratos.registry.patience import Patience

__all__ = ["Watches", "serves"]

logger = logging.getLogger("kratos.registry")

_CANCEL_SECONDS: Final = 1.0
_FIRST_SECONDS: Final = 30.0  # for the first list
_REMIND_SECONDS: Final = 60.0


def serves(instance: Instance, scheme: str | None) -> bool:
    """Returns whether an instance has an endpoint of a scheme; None is any."""
    return scheme is None or any(url.partition("://")[0] == scheme for url in instance.endpoints)


class Watches:
    """The services of one registry that are watched in this process.

    Args:
        lister: The driver.
        registry: What the registry is called in the log.
        patience: How long it is waited for, and what is believed of one that comes back.
    """

    def __init__(self, lister: Lister, registry: str, patience: Patience) -> None:
        self._lister = lister
        self._registry = registry
        self._patience = patience
        self._followed: dict[str, _Followed] = {}

    async def watch(self, name: str, scheme: str | None = None) -> AsyncIterator[tuple[Instance, ...]]:
        """Yields the instances of a service, in the order of their ids; see ``Discovery``."""
        changed = asyncio.Event()
        followed = self._join(name, changed)
        try:
            last: tuple[Instance, ...] | None = None
            while not followed.is_over:
                changed.clear()
                if followed.listed is not None:
                    found = tuple(instance for instance in followed.listed if serves(instance, scheme))
                    if found != last:
                        last = found
                        yield found
                await changed.wait()
        finally:
            followed.watchers.discard(changed)
            if not followed.watchers:
                await self._leave(name, followed)

    async def aclose(self) -> None:
        """Ends all watches; iterators end."""
        for name, followed in list(self._followed.items()):
            await self._leave(name, followed)

    def _join(self, name: str, changed: asyncio.Event) -> _Followed:
        followed = self._followed.get(name)
        if followed is None:
            followed = self._followed[name] = _Followed(self._lister, name, self._registry, self._patience)
        followed.watchers.add(changed)
        return followed

    async def _leave(self, name: str, followed: _Followed) -> None:
        if self._followed.get(name) is followed:
            del self._followed[name]
        await followed.stop()


class _Followed:
    """One service that is watched.

    Attributes:
        listed: Who serves, in the order of their ids; None until the registry has answered.
        watchers: Told of each change.
        is_over: Whether it has been stopped.
    """

    def __init__(self, lister: Lister, name: str, registry: str, patience: Patience) -> None:
        self.listed: tuple[Instance, ...] | None = None
        self.watchers: set[asyncio.Event] = set()
        self.is_over = False
        self._lister = lister
        self._name = name
        self._what = f"{registry}: watching {name}"
        self._patience = patience
        self._missed: dict[str, Instance] = {}  # known before the registry was away, and not since
        self._told: dict[str, Instance] = {}  # what the registry has said last
        self._grace: asyncio.TimerHandle | None = None
        self._failures = 0
        self._since: float | None = None
        self._reminded = 0.0
        # In a context of its own: whoever watches first may be in a call, and this is no part of that.
        self._task = asyncio.create_task(self._run(), name=f"kratos {self._what}", context=Context())

    async def stop(self) -> None:
        """Ends it; returns when the driver's iterator is closed."""
        self.is_over = True
        self._end_grace()
        self._tell()
        self._task.cancel()
        await asyncio.wait([self._task], timeout=_CANCEL_SECONDS)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._listen()
                failure: Exception | None = None
            except Exception as error:
                failure = error
            if self.is_over:
                return
            if self._since is None and loop.time() - began >= self._patience.last:
                self._failures = 0
            self._failures += 1
            self._complain(failure)
            await asyncio.sleep(self._patience.pause(self._failures))

    async def _listen(self) -> None:
        """Takes the lists of one connection, the first of which has to come soon."""
        is_first = True
        async with asyncio.timeout(_FIRST_SECONDS) as limit, aclosing(self._lister.lists(self._name)) as lists:
            async for found in lists:
                limit.reschedule(None)
                self._take(found, is_first=is_first)
                is_first = False

    def _take(self, found: Iterable[Instance], *, is_first: bool) -> None:
        if self.is_over:
            raise asyncio.CancelledError  # the driver has kept it to itself
        told = {instance.id: instance for instance in found if instance.name == self._name}
        if is_first:
            self._rejoice()
            self._miss(told)
        for known in told:
            self._missed.pop(known, None)
        if not self._missed:
            self._end_grace()
        self._told = told
        self._settle()

    def _miss(self, told: dict[str, Instance]) -> None:
        """Keeps what a registry that was away does not know any more; the time of grace begins."""
        self._end_grace()
        missed = {instance.id: instance for instance in self.listed or () if instance.id not in told}
        if missed and self._patience.grace > 0:
            words = "%s: it has come back without %d of %d instances, which are kept for %g s"
            logger.warning(words, self._what, len(missed), len(self.listed or ()), self._patience.grace)
            self._missed = missed
            self._grace = asyncio.get_running_loop().call_later(self._patience.grace, self._give_up)

    def _give_up(self) -> None:
        logger.warning("%s: %d instances have not come back", self._what, len(self._missed))
        self._end_grace()
        self._settle()

    def _end_grace(self) -> None:
        self._missed = {}
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None

    def _settle(self) -> None:
        """Makes the list of what there is, and tells if it has changed."""
        known = self._missed | self._told
        listed = tuple(known[each] for each in sorted(known))
        if listed != self.listed:
            self.listed = listed
            self._tell()

    def _tell(self) -> None:
        for changed in self.watchers:
            changed.set()

    def _rejoice(self) -> None:
        if self._since is not None:
            logger.warning("%s: it is back after %.1f s", self._what, asyncio.get_running_loop().time() - self._since)
            self._since = None

    def _complain(self, failure: Exception | None) -> None:
        """Tells the log that the registry is away: at once, and then once a minute."""
        now = asyncio.get_running_loop().time()
        why = "it has stopped" if failure is None else f"{type(failure).__name__}: {failure}"
        defect = None if failure is None or isinstance(failure, OSError | Error) else failure
        if self._since is None:
            self._since = self._reminded = now
            until = "nothing is known until then" if self.listed is None else "the last list stands until then"
            logger.error("%s: %s. Trying again until it is back; %s", self._what, why, until, exc_info=defect)
        elif now - self._reminded >= _REMIND_SECONDS:
            self._reminded = now
            logger.error("%s: still away after %.0f s: %s", self._what, now - self._since, why)
