"""Discovery without a registry: instances that are written down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TypeAlias

from kratos.live import Live, live
from kratos.registry.base import Instance
from kratos.registry.listing import serving

__all__ = ["Services", "StaticDiscovery"]

Services: TypeAlias = "Mapping[str, Iterable[str | Instance]]"
"""The instances of each service; a URL such as ``grpc://10.0.0.7:9000`` is an instance with this endpoint alone."""


class StaticDiscovery:
    """Finds what it was told, and follows it where that is live, such as a part of the configuration.

    Args:
        services: Who serves, by the names of services.

    Raises:
        ValueError: A URL has no scheme, or an instance has another name than the service.

    Example:
        ``StaticDiscovery({"shop": ["grpc://10.0.0.7:9000", "grpc://10.0.0.8:9000"]})``
    """

    def __init__(self, services: Services | Live[Services]) -> None:
        self._services = live(services).map(_read)

    async def watch(self, name: str, scheme: str | None = None, /) -> AsyncIterator[tuple[Instance, ...]]:
        """Yields the instances of a service, again when they change; see ``Discovery``."""
        changed = asyncio.Event()
        stop = self._services.observe(lambda _: changed.set())
        try:
            last: tuple[Instance, ...] | None = None
            while True:
                changed.clear()
                found = await serving(self._services.value.get(name, ()), scheme)
                if found != last:
                    last = found
                    yield found
                await changed.wait()
        finally:
            stop()


def _read(services: Services) -> dict[str, tuple[Instance, ...]]:
    return {name: tuple(_instances(name, listed)) for name, listed in services.items()}


def _instances(name: str, listed: Iterable[str | Instance]) -> list[Instance]:
    found: dict[str, Instance] = {}
    for each in listed:
        instance = each if isinstance(each, Instance) else Instance(each, name, endpoints=(each,))
        if instance.name != name:
            raise ValueError(f"instance {instance.id!r} is listed for {name!r}, and says that it is {instance.name!r}")
        for url in instance.endpoints:
            if not all(url.partition("://")):
                raise ValueError(f"{url!r}, listed for {name!r}, is no URL such as grpc://10.0.0.7:9000")
        found[instance.id] = instance
    return [found[each] for each in sorted(found)]
