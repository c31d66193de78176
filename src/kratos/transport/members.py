"""The nodes that a client may call right now: those of a registry, without who fails, and of these its part."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from contextvars import Context
from heapq import nsmallest
from typing import Any, Final

from kratos.live import Live, live
from kratos.registry.base import Discovery, Instance
from kratos.registry.pacing import paced
from kratos.selector.balancing import Balancing
from kratos.selector.base import Node
from kratos.selector.outlier import Ejection
from kratos.selector.pool import Pool
from kratos.selector.subset import Subset
from kratos.transport.endpoints import collect, fixed, through
from kratos.transport.target import Target

__all__ = ["DEFAULT_BALANCING", "RETRY_SECONDS", "Members"]

logger = logging.getLogger("kratos.resolve")

RETRY_SECONDS: Final = 1.0
"""How long a registry is left in peace after its watch has failed."""
DEFAULT_BALANCING: Final = Balancing()
"""How calls are spread where nothing is said."""
_SHOWN: Final = 10


class Members:
    """Keeps a pool of nodes up to date.

    Args:
        target: Fixed addresses or a service.
        scheme: The scheme of the endpoints to look for.
        discovery: Where services are looked up.
        balancing: How calls are spread.
        left: Called with the addresses that there are, after some have gone.
        ejected: Called with each node that is left alone.

    Attributes:
        pool: Who takes the next call.
        known: Set when the registry has answered.
        there: Set while there are nodes.
        found: All nodes of the target, by address.
        watching: Whether the registry is being watched.
    """

    def __init__(
        self,
        target: Target,
        scheme: str,
        discovery: Discovery | None,
        balancing: Balancing | Live[Balancing],
        *,
        left: Callable[[Collection[str]], object],
        ejected: Callable[[Ejection], object],
    ) -> None:
        self.known = asyncio.Event()
        self.there = asyncio.Event()
        self.found = fixed(target.addresses, scheme)
        self.watching = False
        self._service = target.service
        self._scheme = scheme
        self._discovery = discovery
        self._left = left
        self._ejected = ejected
        self._live = live(balancing)
        self._balancing = self._live.value
        self._key = uuid.uuid4().hex
        self.pool = self._new_pool()
        self._part = self._new_part()
        self._renewing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._return: asyncio.TimerHandle | None = None
        self._stop = self._live.observe(self._change)
        if not target.service:
            for _ in self._renewal():
                pass

    @property
    def balancing(self) -> Balancing:
        """How calls are spread now."""
        return self._balancing

    def start(self) -> None:
        """Begins to watch the registry."""
        if self._discovery is not None and self._service and not self.watching:
            self.watching = True
            self._spawn(self._watch(self._discovery), f"watch {self._service}")

    async def aclose(self) -> None:
        """Ends all that is going on here."""
        self._stop()
        if self._return is not None:
            self._return.cancel()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _watch(self, discovery: Discovery) -> None:
        while True:
            try:
                async for instances in discovery.watch(self._service, self._scheme):
                    await self._take(instances)
            except Exception:
                logger.exception("watching %s failed, trying again in %s s", self._service, RETRY_SECONDS)
            await asyncio.sleep(RETRY_SECONDS)

    async def _take(self, instances: Sequence[Instance]) -> None:
        found: dict[str, Node] = {}
        await paced(collect(instances, self._scheme, found))
        before, self.found = self.found, found
        await self._renew()
        self.known.set()
        await asyncio.sleep(0)
        came, gone = found.keys() - before.keys(), before.keys() - found.keys()
        if gone:
            self._left(found.keys())
        if came or gone:
            self._tell(came, gone)

    def _tell(self, came: Collection[str], gone: Collection[str]) -> None:
        where = f"{self._service} over {self._scheme}"
        logger.info("%s: %d nodes came, %d went, there are %d", where, len(came), len(gone), len(self.found))
        for verb, addresses in (("came", came), ("went", gone)):
            if addresses and logger.isEnabledFor(logging.DEBUG):
                more = f" and {len(addresses) - _SHOWN} more" if len(addresses) > _SHOWN else ""
                logger.debug("%s: %s %s%s", where, ", ".join(nsmallest(_SHOWN, addresses)), verb, more)

    def _change(self, balancing: Balancing) -> None:
        old, self._balancing = self._balancing, balancing
        if balancing.balancer is not old.balancer:
            self.pool = self._new_pool()
        self.pool.ejections.settings = balancing.outlier
        self._part = self._new_part()
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # nobody calls yet
            for _ in self._renewal():
                pass
        else:
            self._spawn(self._renew(), "renew nodes")

    def _new_pool(self) -> Pool:
        return Pool(self._balancing.balancer(), self._balancing.outlier, told=self._out)

    def _new_part(self) -> Subset:
        return Subset(self._key, 0 if self.pool.balancer.whole else self._balancing.subset)

    def _out(self, ejection: Ejection) -> None:
        self._ejected(ejection)
        if self._choosing:  # others may take its place
            self._spawn(self._renew(), "renew nodes")

    @property
    def _choosing(self) -> bool:
        """Whether there may be more nodes than are called."""
        return bool(self._balancing.filters) or 0 < self._part.size < len(self.found)

    async def _renew(self) -> None:
        async with self._renewing:
            await paced(self._renewal())

    def _renewal(self) -> Iterator[None]:
        """Puts the nodes into the pool that are to be called now."""
        pool, now = self.pool, self._now()
        nodes = list(self.found.values())
        pool.ejections.keep(self.found.keys())
        alone = pool.ejections.out(now)
        chosen: list[Node] = []
        if alone and self._choosing:
            well = [node for node in nodes if node.address not in alone]
            yield from through(self._balancing.filters, well, self._part, chosen)
        if not chosen:
            yield from through(self._balancing.filters, nodes, self._part, chosen)
        yield from pool.updating(chosen)
        if chosen:
            self.there.set()
        else:
            self.there.clear()
        self._come_back(alone)

    def _come_back(self, alone: Collection[str]) -> None:
        """Looks again when the first one that is left alone may be called again."""
        if self._return is not None:
            self._return.cancel()
            self._return = None
        if alone and self._choosing:
            loop = asyncio.get_running_loop()
            at = self.pool.ejections.soonest
            self._return = loop.call_at(at, lambda: self._spawn(self._renew(), "renew nodes"), context=Context())

    def _now(self) -> float:
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return 0.0

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name, context=Context())  # and not in that of a call
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
