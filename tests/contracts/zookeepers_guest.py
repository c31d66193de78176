"""Registers an instance until its input ends: ``python zookeepers_guest.py ADDRESS``."""

from __future__ import annotations

import asyncio
import sys

from kratos.contrib.zookeeper import ZooKeeperRegistry
from kratos.registry import Instance


async def main() -> None:
    """Leaves properly, and without closing the registry."""
    registry = ZooKeeperRegistry(sys.argv[1], session=1.0)
    instance = Instance("u1", "helloworld")
    await registry.register(instance)
    await asyncio.to_thread(sys.stdin.read)
    await registry.deregister(instance)


asyncio.run(main())
