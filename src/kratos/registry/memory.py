"""A registry in this process: for tests, and for programs that are their own only client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from kratos.registry.base import Instance
from kratos.registry.listing import serving

__all__ = ["MemoryRegistry"]


class MemoryRegistry:
    """Registrar and discovery in one event loop."""

    def __init__(self) -> None:
        self._instances: dict[str, dict[str, Instance]] = {}  # by service and id
        self._changed: set[asyncio.Event] = set()

    def __str__(self) -> str:
        """What it is, for the banner."""
        return "in this process only"

    async def register(self, instance: Instance, /) -> None:
        """Makes an instance known; see ``Registrar``."""
        self._instances.setdefault(instance.name, {})[instance.id] = instance
        self._tell()

    async def deregister(self, instance: Instance, /) -> None:
        """Makes an instance unknown; see ``Registrar``."""
        known = self._instances.get(instance.name, {})
        if known.pop(instance.id, None) is not None:
            if not known:
                del self._instances[instance.name]
            self._tell()

    async def watch(self, name: str, scheme: str | None = None, /) -> AsyncIterator[tuple[Instance, ...]]:
        """Yields the instances of a service; see ``Discovery``."""
        changed = asyncio.Event()
        self._changed.add(changed)
        try:
            last: tuple[Instance, ...] | None = None
            while True:
                changed.clear()
                found = await serving([*self._instances.get(name, {}).values()], scheme)
                if found != last:
                    last = found
                    yield found
                await changed.wait()
        finally:
            self._changed.discard(changed)

    def _tell(self) -> None:
        for changed in self._changed:
            changed.set()
