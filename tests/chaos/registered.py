"""A node that registers itself in etcd: ``python registered.py ETCD TTL``; says where it is in a line of JSON."""

from __future__ import annotations

import asyncio
import json
import sys

from chaos.serving import Forgetful
from roundtrip.service import Kinds

from kratos import AdminServer, App, GRPCServer, HTTPServer
from kratos.contrib.etcd import EtcdRegistry


async def main(etcd: str, ttl: int) -> None:
    service = Kinds()
    service.calls = Forgetful()
    servers = [HTTPServer("127.0.0.1:0"), GRPCServer("127.0.0.1:0")]
    admin = AdminServer("127.0.0.1:0")
    registry = EtcdRegistry(etcd, ttl=ttl)
    async with App(name="kinds", services=[service], servers=[*servers, admin], registrar=registry) as app:
        urls = [server.endpoint for server in servers]
        print(json.dumps({"id": app.info.id, "urls": urls, "admin": admin.endpoint}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
