"""The words of registration and discovery; drivers import this module and nothing else of the room."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Discovery", "Instance", "Registrar"]


@dataclass(frozen=True, slots=True)
class Instance:
    """One running process of a service, as the registry knows it.

    Attributes:
        id: Unique per process.
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


class Registrar(Protocol):
    """Where a process makes itself known."""

    async def register(self, instance: Instance, /) -> None:
        """Makes the instance known until ``deregister``; returns when it can be found.

        Registering an id again replaces what was known of it.

        Raises:
            Exception: The registry cannot be reached or refuses; the driver's own words.
        """
        ...

    async def deregister(self, instance: Instance, /) -> None:
        """Makes the instance unknown. An unknown one is fine, and so is being cancelled half-way.

        Raises:
            Exception: The registry cannot be reached; it will forget the instance by itself after a while.
        """
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
