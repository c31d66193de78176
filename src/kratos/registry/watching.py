"""``Watches``: what tells watchers who serves, whatever becomes of the registry.

However many watch a service, the driver is asked for it once. What it has said last stays true while it says nothing.

A registry that was away may have lost its memory, and would make every client believe that nobody serves. So what it
does not know any more when it comes back stays in the list for a while, until it is told anew or the time of grace is
over. That does not begin again when the registry is away once more; it only waits while that lasts. What the registry
takes back while it is there is believed at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from contextvars import Context
from typing import Final

from kratos.errors import Error
from kratos.registry.base import Instance, Lister
from kratos.registry.listing import known_again, ordered, serving
from kratos.registry.patience import Patience

__all__ = ["Watches"]

logger = logging.getLogger("kratos.registry")

_CANCEL_SECONDS: Final = 1.0
_FIRST_SECONDS: Final = 30.0  # for the first list
_REMIND_SECONDS: Final = 60.0


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
                    found = await serving(followed.listed, scheme)
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
        self._told: dict[str, Instance] = {}  # what the registry has said last
        self._missed: dict[str, Instance] = {}  # known before the registry was away, and not since
        self._kept_until: dict[str, float] = {}  # when those that are missed are given up
        self._giving_up: asyncio.Task[None] | None = None
        self._known: dict[str, Instance] = {}  # both, as they are listed
        self._settling = asyncio.Lock()
        self._failures = 0
        self._since: float | None = None
        self._reminded = 0.0
        # In a context of its own: whoever watches first may be in a call, and this is no part of that.
        self._task = asyncio.create_task(self._run(), name=f"kratos {self._what}", context=Context())

    async def stop(self) -> None:
        """Ends it; returns when the driver's iterator is closed."""
        self.is_over = True
        self._tell()
        tasks = [task for task in (self._task, self._giving_up) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_CANCEL_SECONDS)

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
                await self._take([*found], is_first=is_first)
                is_first = False

    async def _take(self, found: Sequence[Instance], *, is_first: bool) -> None:
        if self.is_over:
            raise asyncio.CancelledError  # the driver has kept it to itself
        async with self._settling:
            told = await known_again(found, self._name, self._known)
            if is_first:
                self._rejoice()
                self._miss(told)
            for back in self._missed.keys() & told.keys():
                del self._missed[back], self._kept_until[back]
            self._told = told
            await self._settle()

    def _miss(self, told: Mapping[str, Instance]) -> None:
        """Keeps what a registry that was away does not know any more; the time of grace begins."""
        listed = self.listed or ()
        missed = {instance.id: instance for instance in listed if instance.id not in told}
        if not missed or not self._patience.grace > 0:
            return
        end = asyncio.get_running_loop().time() + self._patience.grace
        before, self._kept_until = self._kept_until, {each: self._kept_until.get(each, end) for each in missed}
        self._missed = missed
        if not self._kept_until.keys() <= before.keys():
            words = "%s: it has come back without %d of %d instances, which are kept for %g s"
            logger.warning(words, self._what, len(missed), len(listed), self._patience.grace)
        if self._giving_up is None or self._giving_up.done():
            name = f"kratos {self._what}: missed"
            self._giving_up = asyncio.create_task(self._give_up(), name=name, context=Context())

    async def _give_up(self) -> None:
        """Gives up those that are missed when their time is over, until nobody is missed any more."""
        loop = asyncio.get_running_loop()
        while self._kept_until:
            next_end = min(self._kept_until.values())
            await asyncio.sleep(next_end - loop.time())
            if self._since is not None:  # nobody could come back; the last list stands
                await asyncio.sleep(self._patience.last)
                continue
            async with self._settling:
                dead = [each for each, end in self._kept_until.items() if end <= next_end]
                for each in dead:
                    del self._missed[each], self._kept_until[each]
                if dead:
                    logger.warning("%s: %d instances have not come back", self._what, len(dead))
                    await self._settle()

    async def _settle(self) -> None:
        """Makes the list of what there is, and tells if it has changed."""
        known = self._missed | self._told
        if self.listed is None or known != self._known:
            self.listed = await ordered(known)
            self._known = known
            self._tell()

    def _tell(self) -> None:
        for changed in self.watchers:
            changed.set()

    def _rejoice(self) -> None:
        if self._since is not None:
            away = asyncio.get_running_loop().time() - self._since
            logger.warning("%s: it is back after %.1f s", self._what, away)
            self._since = None
            # The pause between two connections counts, or whoever is dead would stay where connections do not last.
            more = max(0.0, away - self._patience.last)
            self._kept_until = {each: end + more for each, end in self._kept_until.items()}

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
