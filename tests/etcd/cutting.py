"""Cuts the network and mends it again: ``unshare --map-root-user --net python cutting.py FOLDER``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from alone import network
from etcd.serving import Etcd
from etcd.test_registry import FULL, SHOP, watching
from killable import until

from kratos.contrib.etcd import EtcdRegistry


async def main(folder: Path) -> None:
    """Cuts the network between a service, a watcher and etcd."""
    network("up")
    etcd = Etcd(folder)
    etcd.start()
    ours, theirs = EtcdRegistry(etcd.address, ttl=2), EtcdRegistry(etcd.address, ttl=2)
    try:
        await ours.register(SHOP)
        async with watching(theirs) as seen:
            await seen.until(u1="v1.0.0")
            network("down")
            await until(lambda: ours.trouble(SHOP) and not theirs._etcd._member)
            print("cut:", ours.trouble(SHOP))
            network("up")
            await until(lambda: not ours.trouble(SHOP))
            await until(lambda: etcd.keys() == {"/microservices/helloworld/u1": FULL})
            etcd.ctl("put", "/microservices/helloworld/0", '{"id":"0","name":"helloworld"}')
            await seen.until(u1="v1.0.0", **{"0": ""})
            assert all(found for found in seen.lists), seen.lists
            print(etcd.keys()["/microservices/helloworld/u1"])
    finally:
        await ours.aclose()
        await theirs.aclose()
        etcd.kill()


asyncio.run(main(Path(sys.argv[1])))
