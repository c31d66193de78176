"""The words of registration and discovery."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

__all__ = ["Discovery", "Instance", "InvalidInstance", "Keeper", "Lister", "Registrar", "Registry", "Troubled"]


@dataclass(frozen=True, slots=True)
class Instance:
    """One running process of a service, as the registry knows it.

    Attributes:
        id: Unique among the instances of a service.
        name: The service.
        version: The version of the service.
        metadata: Facts about the process, such as its zone.
        endpoints: URLs such as ``http://10.0.0.7:8000`` and ``grpc://10.0.0.7:9000``.
    """

    id: str
    name: str
    version: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    endpoints: tuple[str, ...] = ()


class InvalidInstance(ValueError):
    """This instance can never be registered; the message says why."""


class Registrar(Protocol):
    """Where a process makes itself known."""

    async def register(self, instance: Instance, /) -> None:
        """Makes the instance known until ``deregister``; returns when it can be found.

        Registering an id of a service again replaces what was known of it. While the registry cannot be reached a
        supervised registrar goes on trying, also when this call is cancelled: only ``deregister`` ends that.

        Raises:
            InvalidInstance: This instance can never be registered here.
            Exception: The registry cannot be reached or refuses, and the registrar does not try again by itself.
        """
        ...

    async def deregister(self, instance: Instance, /) -> None:
        """Makes the instance unknown. An unknown one is fine, and so is being cancelled half-way.

        Raises:
            Exception: The registry cannot be reached; it will forget the instance by itself after a while.
        """
        ...


@runtime_checkable
class Troubled(Protocol):
    """A registrar that can say how a registration stands."""

    def trouble(self, instance: Instance, /) -> str:
        """Returns why an instance cannot be found now, in a few words; empty if all is well. Raises nothing."""
        ...


class Discovery(Protocol):
    """Where clients find the processes of a service."""

    def watch(self, name: str, scheme: str | None = None, /) -> AsyncIterator[tuple[Instance, ...]]:
        """Yields the complete list of instances of a service, first as it is now, then after each change.

        The first list comes when the registry has answered, so an empty one means that nobody serves. Changes that
        happen faster than they are read are merged into one. The iterator ends by being closed or cancelled, never by
        itself; while the registry cannot be reached it waits and tries again.

        Args:
            name: The service.
            scheme: Only instances with an endpoint of this scheme (``grpc``, ``http``, …); None is all.
        """
        ...


class Registry(Registrar, Discovery, Protocol):
    """Both in one."""


class Keeper(Protocol):
    """What a driver does to make instances known. It tries once; ``Registrations`` tries again.

    Example:
        ``lease = await grant(15); await put(key, encode(instance), lease); found(); await keep_alive(lease)``
    """

    async def hold(self, instance: Instance, found: Callable[[], None], /) -> None:
        """Writes the record, calls ``found`` once others can find it, and keeps it alive until that has come to an end.

        It does not return while the instance is registered. Writing an id that is there already replaces its record,
        whoever wrote it, without a time in which there is none. Calls for different instances run at the same time;
        for one id of a service there is never more than one.

        Being cancelled ends the keeping alive and leaves the record where it is: an update or ``forget`` comes next,
        and neither may be overtaken by what is still on its way here.

        Raises:
            InvalidInstance: This instance can never be registered here; nobody tries again.
            Exception: The registry could not be reached, refused, or has lost the record (returning means that too).
        """
        ...

    async def forget(self, instance: Instance, /) -> None:
        """Removes the record; that there is none is fine. Called when ``hold`` has ended.

        Raises:
            Exception: The registry could not be reached; it will forget the instance by itself after a while.
        """
        ...


class Lister(Protocol):
    """What a driver does to tell who serves. It tries once; ``Watches`` tries again."""

    def lists(self, name: str, /) -> AsyncGenerator[Iterable[Instance], None]:
        """Yields the complete list of instances of a service: as it is now, then after each change, in any order.

        Ending, or raising, means that the registry was away and has to be asked again from the beginning; what it then
        does not know any more is not believed at once. A driver whose own affair it is to start anew (a compacted
        revision, an index that was reset) therefore just yields the next complete list. A connection that is dead has
        to be noticed within seconds.

        Names that only begin with ``name``, the order of a list, and one that says the same as the one before are
        taken care of by ``Watches``. However many watch a service, this is called once; the generator is closed when
        nobody does any more.

        Raises:
            Exception: The registry cannot be reached. A service that nobody serves is an empty list.
        """
        ...
