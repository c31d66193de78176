"""Cuts the network and mends it again: ``unshare --map-root-user --net python zookeepers_cutting.py FOLDER``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from alone import network
from contracts.test_zookeeper import BELOW, FULL, MINIMAL, SECONDS, SHOP, client
from contracts.zookeeping import ZooKeeper
from killable import until

from kratos.contrib.zookeeper import ZooKeeperRegistry
from kratos.testing.registry import watching


async def main(folder: Path) -> None:
    """Cuts the network between a service, a watcher and ZooKeeper."""
    network("up")
    zookeeper = ZooKeeper(folder)
    zookeeper.start()
    ours, theirs = (ZooKeeperRegistry(zookeeper.address, session=SECONDS) for _ in range(2))
    try:
        await ours.register(SHOP)
        with client(zookeeper) as plain:
            before = plain.exists(f"{BELOW}/u1").ephemeralOwner
        async with watching(theirs, "helloworld") as watch:
            await watch.ids("u1")
            network("down")
            await until(lambda: ours.trouble(SHOP) and not theirs._lists)
            print("cut:", ours.trouble(SHOP))
            network("up")
            await until(lambda: not ours.trouble(SHOP))
            with client(zookeeper) as plain:
                await until(lambda: plain.exists(f"{BELOW}/u1"))
                assert plain.exists(f"{BELOW}/u1").ephemeralOwner != before, "the session has lasted"
                plain.create(f"{BELOW}/0", MINIMAL)
                await watch.ids("0", "u1")
                assert all(watch.lists), watch.lists
                assert plain.get(f"{BELOW}/u1")[0] == FULL
            print(FULL.decode())
    finally:
        await ours.aclose()
        await theirs.aclose()
        zookeeper.kill()


asyncio.run(main(Path(sys.argv[1])))
