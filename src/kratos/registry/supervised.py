"""``SupervisedRegistry``: a registry of which a driver has written three methods, each of which tries once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable

from kratos.metrics.base import Meter
from kratos.registry.base import Instance
from kratos.registry.patience import Patience
from kratos.registry.supervisor import Registrations
from kratos.registry.watching import Watches

__all__ = ["SupervisedRegistry"]


class SupervisedRegistry(ABC):
    """Registrar and discovery over a driver's ``hold``, ``forget`` and ``lists``.

    It is made without a connection and needs no closing: a driver opens one when it is asked for something, and closes
    it when nothing is registered or watched any more. Several apps and clients of a process may share one.

    Args:
        registry: What it is called in log and metrics: ``etcd``, ``file``.
        patience: How long it is waited for.
    """

    def __init__(self, registry: str, patience: Patience | None = None) -> None:
        patience = patience or Patience()
        self._registry = registry
        self._registrations = Registrations(self, registry, patience)
        self._watches = Watches(self, registry, patience)

    def __str__(self) -> str:
        """What it is, in a few words for the banner."""
        return self._registry

    async def register(self, instance: Instance, /) -> None:
        """Keeps an instance registered until ``deregister``, whatever becomes of the registry; see ``Registrar``.

        Raises:
            InvalidInstance: It can never be registered here.
            RuntimeError: Somebody registered the id anew, or deregistered it, before it could be found.
        """
        await self._registrations.register(instance)

    async def deregister(self, instance: Instance, /) -> None:
        """Makes an instance unknown; nothing can bring it back then. See ``Registrar``.

        Raises:
            Exception: The registry cannot be reached; it will forget the instance by itself after a while.
        """
        await self._registrations.deregister(instance)

    def trouble(self, instance: Instance, /) -> str:
        """Returns why an instance cannot be found now; empty if all is well."""
        return self._registrations.trouble(instance)

    def watch(self, name: str, scheme: str | None = None, /) -> AsyncIterator[tuple[Instance, ...]]:
        """Yields the instances of a service in the order of their ids; see ``Discovery``."""
        return self._watches.watch(name, scheme)

    def measure(self, meter: Meter, /) -> None:
        """Shows ``kratos_registered``."""
        self._registrations.measure(meter)

    async def aclose(self) -> None:
        """Ends watches and registrations; records that were not deregistered stay until the registry forgets them.

        It may be used again afterwards.
        """
        await self._watches.aclose()
        await self._registrations.aclose()

    @abstractmethod
    async def hold(self, instance: Instance, found: Callable[[], None], /) -> None:
        """Writes the record and keeps it alive, once; see ``Keeper``. For the supervisor, not for users."""

    @abstractmethod
    async def forget(self, instance: Instance, /) -> None:
        """Removes the record; see ``Keeper``. For the supervisor, not for users."""

    @abstractmethod
    def lists(self, name: str, /) -> AsyncGenerator[Iterable[Instance], None]:
        """Yields who serves, for as long as the registry is there; see ``Lister``. For ``watch``, not for users."""
