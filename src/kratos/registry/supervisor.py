"""``Registrations``: what keeps instances registered, whatever becomes of the registry.

For each id of a service there is one task, which has the driver hold the record, and hold it again when it was lost:
for ever, with pauses that grow up to a limit and are of random length. A new record for an id, and its deregistration,
wait until the task before them has ended, so that nothing which is under way can bring an old record back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, Final

from kratos.errors import Error
from kratos.metrics.base import Meter
from kratos.registry.base import Instance, InvalidInstance, Keeper
from kratos.registry.patience import Patience

__all__ = ["Registrations"]

logger = logging.getLogger("kratos.registry")

_CANCEL_SECONDS: Final = 1.0  # for a driver that was cancelled to notice
_REMIND_SECONDS: Final = 60.0


class Registrations:
    """The registrations that a process has in one registry.

    Args:
        keeper: The driver.
        registry: What the registry is called in log and metrics.
        patience: How long it is waited for.
    """

    def __init__(self, keeper: Keeper, registry: str, patience: Patience) -> None:
        self._keeper = keeper
        self._registry = registry
        self._patience = patience
        self._steps: dict[tuple[str, str], _Step] = {}  # by service and id: several apps of a process may share an id

    def measure(self, meter: Meter) -> None:
        """Shows how many instances of a service are registered now: 0 for one that should be and is not."""
        meter.observed(
            "kratos_registered",
            "Instances of this process that the registry knows; 0 while it has lost them.",
            self._figures,
            labels=("registry", "name"),
        )

    async def register(self, instance: Instance) -> None:
        """Keeps an instance registered from now on; returns when it can be found. See ``Registrar``.

        Raises:
            InvalidInstance: The driver can never register it.
            RuntimeError: Somebody registered the id anew, or deregistered it, before it could be found.
        """
        held = _Held(self._keeper, instance, self._registry, self._patience)
        self._take_over(instance, held, held.run())
        await asyncio.wait([held.first])
        if held.first.cancelled():
            raise RuntimeError(f"{held.whose} was not registered: another word about this id came meanwhile")
        held.first.result()

    async def deregister(self, instance: Instance) -> None:
        """Ends a registration: first our own part in it, then the record. See ``Registrar``.

        Raises:
            TimeoutError: The registry took too long.
            Exception: What the driver says.
        """
        leaving = _Step()
        task = self._take_over(instance, leaving, self._leave(instance, leaving))
        await asyncio.wait([task])
        task.result()

    def trouble(self, instance: Instance) -> str:
        """Returns why an instance cannot be found now; empty if it can. See ``Troubled``."""
        step = self._steps.get((instance.name, instance.id))
        return step.trouble if isinstance(step, _Held) else "it is not registered"

    async def aclose(self) -> None:
        """Ends what is under way. Records stay until they are deregistered or the registry forgets them."""
        pending = [step for last in self._steps.values() for step in last.pending()]
        for step in pending:
            step.stop()
        if pending:
            await asyncio.wait([step.task for step in pending], timeout=_CANCEL_SECONDS)

    def _take_over(self, instance: Instance, step: _Step, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Makes ``step`` the last word about an id: what was said before it ends, and then it begins."""
        key = instance.name, instance.id
        before = self._steps.get(key)
        if before is not None:
            step.follow(before)
        self._steps[key] = step
        # In a context of its own: a call in which an instance is registered ends before the registration does.
        step.task = task = asyncio.create_task(work, name=f"kratos {self._registry} {instance.id}", context=Context())
        task.add_done_callback(lambda _: self._end(key, step))
        return task

    def _end(self, key: tuple[str, str], step: _Step) -> None:
        if self._steps.get(key) is step:
            del self._steps[key]
        if not step.task.cancelled():
            step.task.exception()  # whoever wanted to know may have left

    async def _leave(self, instance: Instance, step: _Step) -> None:
        await step.wait_for_earlier()
        limit = self._patience.attempt
        try:
            async with asyncio.timeout(limit):
                await self._keeper.forget(instance)
        except TimeoutError as late:
            raise TimeoutError(
                f"{self._registry}: {_named(instance)} was not deregistered within {limit:g} s"
            ) from late

    def _figures(self) -> dict[tuple[str, ...], float]:
        figures: dict[tuple[str, ...], float] = {}
        for step in list(self._steps.values()):
            if isinstance(step, _Held):
                key = (self._registry, step.instance.name)
                figures[key] = figures.get(key, 0) + (not step.trouble)
        return figures


class _Step:
    """A word about one id, and the tasks of earlier ones that have not ended yet.

    Attributes:
        task: Who sees to it; there from the beginning, but for the constructor.
    """

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self._earlier: list[_Step] = []

    def follow(self, before: _Step) -> None:
        """Begins when what was before has ended."""
        before.overtake()
        self._earlier = before.pending()

    def overtake(self) -> None:
        """A later word has come. A deregistration is not left half-way: it might reach the registry after that."""

    def stop(self) -> None:
        """Ends it."""
        self.task.cancel()

    def pending(self) -> list[_Step]:
        """Returns the steps that have not ended, itself included."""
        return [step for step in (*self._earlier, self) if not step.task.done()]

    async def wait(self) -> None:
        """Returns when it has ended, which has a limit of its own."""
        await asyncio.wait([self.task])

    async def wait_for_earlier(self) -> None:
        """Returns when all that was said earlier has ended."""
        for step in self._earlier:
            await step.wait()
        self._earlier = []


class _Held(_Step):
    """An instance that is to be registered.

    Attributes:
        trouble: Why it is not, in a few words; empty while it is.
        first: Done when it could be found for the first time.
    """

    def __init__(self, keeper: Keeper, instance: Instance, registry: str, patience: Patience) -> None:
        super().__init__()
        self.instance = instance
        self.whose = f"{registry}: {_named(instance)}"
        self.trouble = "it is being registered"
        self.first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keeper = keeper
        self._patience = patience
        self._failures = 0
        self._since: float | None = None  # when it got into trouble
        self._told = 0.0  # when the log heard of it
        self._is_over = False

    def follow(self, before: _Step) -> None:
        """Begins when what was before has ended; a record that is there stays there."""
        super().follow(before)
        if isinstance(before, _Held):
            self.trouble = before.trouble

    def overtake(self) -> None:
        """A later word has come: this one is not worth keeping any more."""
        self.stop()

    async def wait(self) -> None:
        """Returns when it has ended; a driver that ignores its cancellation is not waited for."""
        await asyncio.wait([self.task], timeout=_CANCEL_SECONDS)

    def stop(self) -> None:
        """Ends it, for good: a driver that takes its cancellation for a lost connection is not asked again."""
        self._is_over = True
        self.first.cancel()
        super().stop()

    async def run(self) -> None:
        """Holds the record until it is stopped."""
        await self.wait_for_earlier()
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            failure = await self._attempt()
            if self._is_over or self._is_refused(failure):
                return
            if not self.trouble and loop.time() - began >= self._patience.last:
                self._failures = 0
            self._failures += 1
            self._complain(failure)
            await asyncio.sleep(self._patience.pause(self._failures))

    def _is_refused(self, failure: Exception | None) -> bool:
        """Tells whoever waits that it is no use; once it could be found, a refusal is a failure like any other."""
        if self.first.done() or not isinstance(failure, InvalidInstance):
            return False
        logger.error("%s cannot be registered: %s", self.whose, failure)
        self.first.set_exception(failure)
        self.first.exception()  # whoever wanted to know may have left
        return True

    async def _attempt(self) -> Exception | None:
        """Has the driver hold the record; returns why it does not any more."""
        limit = asyncio.timeout(self._patience.attempt)

        def found() -> None:
            limit.reschedule(None)
            self._rejoice()

        try:
            async with limit:
                await self._keeper.hold(self.instance, found)
        except Exception as failure:
            if limit.expired() and isinstance(failure, TimeoutError):
                return TimeoutError(f"no answer within {self._patience.attempt:g} s")
            return failure
        return None

    def _rejoice(self) -> None:
        if self._is_over:
            return
        self.trouble = ""
        if self._since is None:
            logger.info("%s is registered", self.whose)
        else:
            away = asyncio.get_running_loop().time() - self._since
            logger.warning("%s is registered again, after %.1f s", self.whose, away)
            self._since = None
        if not self.first.done():
            self.first.set_result(None)

    def _complain(self, failure: Exception | None) -> None:
        """Tells the log that it is not registered: at once, and then once a minute."""
        now = asyncio.get_running_loop().time()
        self.trouble = "the registry has lost it" if failure is None else f"{type(failure).__name__}: {failure}"
        defect = None if failure is None or isinstance(failure, OSError | Error) else failure
        if self._since is None:
            self._since = self._told = now
            words = "is not registered any more" if self.first.done() else "is not registered yet"
            logger.error("%s %s: %s. Trying again until it is", self.whose, words, self.trouble, exc_info=defect)
        elif now - self._told >= _REMIND_SECONDS:
            self._told = now
            logger.error("%s is still not registered after %.0f s: %s", self.whose, now - self._since, self.trouble)


def _named(instance: Instance) -> str:
    return f"{instance.name} ({instance.id})"
