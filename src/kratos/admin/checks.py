"""Checks: what else has to work, such as a database. Asked when somebody looks, once a second at most."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["Check", "Checkup", "Outcome"]

logger = logging.getLogger("kratos.admin")

FRESH_SECONDS: Final = 1.0
"""How long an outcome counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Something to look after.

    Attributes:
        name: What it is called on the page and in the log.
        run: Returns if all is well and raises if not. What it raises is logged; pages say its type alone.
        timeout: Seconds it may take.
        ready: Whether the app is not ready while it fails. An app that is taken out of service whenever the database
            that all its replicas share is away helps nobody: leave it out where calls can be answered without.

    Raises:
        ValueError: ``timeout`` is not positive, or there is no name.
    """

    name: str
    run: Callable[[], Awaitable[object]]
    timeout: float = 1.0
    ready: bool = False

    def __post_init__(self) -> None:
        if not self.name or not self.timeout > 0:
            raise ValueError(f"check {self.name!r}: it needs a name, and a timeout above 0 (it is {self.timeout!r})")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check came to.

    Attributes:
        failed: Why it failed, in a word or two; empty if it did not.
        seconds: How long it took.
        at: When it was over, in the event loop's time.
    """

    failed: str
    seconds: float
    at: float


class Checkup:
    """Runs checks: each once at a time, whoever asks how often.

    Args:
        checks: The checks.

    Raises:
        ValueError: Two have one name.
    """

    def __init__(self, checks: Iterable[Check]) -> None:
        self.checks = tuple(checks)
        names = [check.name for check in self.checks]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"checks need names of their own: {', '.join(sorted(twice))} comes twice")
        self._outcomes: dict[str, Outcome] = {}
        self._running: dict[str, asyncio.Task[Outcome]] = {}
        self._left: dict[str, asyncio.Task[object]] = {}

    async def ready(self) -> bool:
        """Returns whether all checks are well that readiness depends on."""
        outcomes = await self.run(check for check in self.checks if check.ready)
        return not any(outcome.failed for outcome in outcomes.values())

    async def run(self, checks: Iterable[Check] | None = None) -> dict[str, Outcome]:
        """Returns what checks come to, by their names: all, if none are named.

        It takes no longer than the longest of their time limits.
        """
        wanted = self.checks if checks is None else tuple(checks)
        found = await asyncio.gather(*(self._fresh(check) for check in wanted))
        return {check.name: outcome for check, outcome in zip(wanted, found, strict=True)}

    async def aclose(self) -> None:
        """Cancels what is under way."""
        tasks = [*self._running.values(), *self._left.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=FRESH_SECONDS)

    async def _fresh(self, check: Check) -> Outcome:
        known = self._outcomes.get(check.name)
        if known is not None and _now() - known.at < FRESH_SECONDS:
            return known
        task = self._running.get(check.name)
        if task is None:
            task = asyncio.create_task(self._look(check), name=f"kratos check {check.name}")
            self._running[check.name] = task
        return await asyncio.shield(task)  # who asked may leave; the others wait for it still

    async def _look(self, check: Check) -> Outcome:
        began = _now()
        try:
            failed = await self._failure(check)
            outcome = Outcome(failed, _now() - began, _now())
            before = self._outcomes.get(check.name)
            if before is not None and before.failed and not failed:
                logger.info("check %s is well again", check.name)
            self._outcomes[check.name] = outcome
            return outcome
        finally:
            del self._running[check.name]

    async def _failure(self, check: Check) -> str:
        """Runs a check and returns why it failed; empty if it did not."""
        if check.name in self._left:
            return "has not ended since it ran out of time"
        task: asyncio.Task[object] = asyncio.ensure_future(_run(check))
        self._left[check.name] = task
        task.add_done_callback(lambda _: self._left.pop(check.name, None))
        try:
            await asyncio.wait([task], timeout=check.timeout)
        finally:
            task.cancel()
        if not task.done():
            self._tell(check, None)
            return f"not done after {check.timeout:g} s"
        failure = RuntimeError("it was cancelled") if task.cancelled() else task.exception()
        if failure is None:
            return ""
        self._tell(check, failure)
        return type(failure).__name__

    def _tell(self, check: Check, failure: BaseException | None) -> None:
        """Logs a failure, once and not at each look."""
        before = self._outcomes.get(check.name)
        if before is None or not before.failed:
            logger.warning("check %s fails: %s", check.name, failure or f"not done after {check.timeout:g} s")


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _run(check: Check) -> object:
    return await check.run()
