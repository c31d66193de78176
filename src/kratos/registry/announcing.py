"""``Announcement``: how an app makes itself known, whether or not the registry is there when it starts."""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from dataclasses import dataclass

from kratos.registry.base import Instance, InvalidInstance, Registrar, Troubled
from kratos.registry.patience import Patience

__all__ = ["Announcement", "Registration"]

logger = logging.getLogger("kratos.registry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """How a process makes itself known.

    Attributes:
        advertise: The address at which others find it: a host, a network such as ``10.0.0.0/8``, or URLs with commas
            between them. The variable ``KRATOS_ADVERTISE`` wins. If there is neither, servers that listen on every
            interface are found at this machine's address on the way out.
        wait: How long a start waits for the registry, in seconds.
        required: What happens then: the start fails if it is true. Otherwise the process serves, says loudly that
            nobody can find it, and is registered when the registry is there.

    Raises:
        ValueError: ``wait`` is not positive.
    """

    advertise: str = ""
    wait: float = 5.0
    required: bool = False

    def __post_init__(self) -> None:
        if not self.wait > 0:
            raise ValueError(f"wait is {self.wait!r}: it must be a positive number of seconds")


class Announcement:
    """One instance, made known from ``begin`` to ``end``.

    Args:
        registrar: Where.
        instance: Who.
        registration: How.
    """

    def __init__(self, registrar: Registrar, instance: Instance, registration: Registration) -> None:
        self._registrar = registrar
        self._instance = instance
        self._registration = registration
        self._patience = Patience()
        self._task: asyncio.Task[None] | None = None
        self._trouble = "it is being registered"

    @property
    def trouble(self) -> str:
        """Why others cannot find it now; empty if they can."""
        told = self._registrar.trouble(self._instance) if isinstance(self._registrar, Troubled) else ""
        return told or self._trouble

    async def begin(self) -> None:
        """Returns when it can be found, or has been waited for long enough; then it goes on by itself.

        Raises:
            InvalidInstance: It can never be registered there.
            TimeoutError: It is required, and could not be registered in time.
            Exception: It is required, and the registry refuses.
        """
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # In a context of its own: it may go on when whoever has started it is done.
        self._task = asyncio.create_task(self._run(first), name=f"register {self._instance.name}", context=Context())
        await asyncio.wait([first], timeout=self._registration.wait)
        if first.done():
            first.result()
        elif self._registration.required:
            raise TimeoutError(
                f"{self._instance.name} is not registered after {self._registration.wait:g} s: {self.trouble}"
            )
        if self.trouble:
            words = "%s serves, but is not registered yet: %s. It will be as soon as the registry can be reached"
            logger.error(words, self._instance.name, self.trouble)

    async def end(self) -> None:
        """Makes it unknown.

        Raises:
            Exception: The registry cannot be reached.
        """
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._registrar.deregister(self._instance)

    async def _run(self, first: asyncio.Future[None]) -> None:
        """Registers; a registrar that gives up is asked again. ``first`` tells what became of the first attempt."""
        failures = 0
        while True:
            try:
                await self._registrar.register(self._instance)
            except Exception as failure:
                failures += 1
                is_refused = self._note(failure)
                is_over = is_refused or (self._registration.required and not first.done())
                if not first.done():
                    _tell(first, failure if is_over else None)
                if is_over:
                    return
                await asyncio.sleep(self._patience.pause(failures))
            else:
                if failures:
                    logger.warning("%s is registered, after %d attempts that failed", self._instance.name, failures)
                self._trouble = ""
                if not first.done():
                    _tell(first, None)
                return

    def _note(self, failure: Exception) -> bool:
        """Remembers why it is not registered; returns whether it never can be."""
        self._trouble = f"{type(failure).__name__}: {failure}"
        if not isinstance(failure, InvalidInstance):
            return False
        logger.error("%s can never be registered: %s", self._instance.name, failure)
        return True


def _tell(first: asyncio.Future[None], failure: Exception | None) -> None:
    if failure is None:
        first.set_result(None)
    else:
        first.set_exception(failure)
        first.exception()  # whoever waited may have left
