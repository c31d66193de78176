"""A greeter and orders of ours over HTTP, on both fronts: ``python kratos_web.py bare`` or ``full``."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from fixtures.gen.fixture.codec.v1.order_pb import Order
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest

from kratos import App, Call, HTTPServer, Middleware
from kratos.middleware import access_log, metadata, recovery
from kratos.operation import Http, Unary
from kratos.service import Service

PLACE = Unary("/bench.v1.Orders/Place", Order, Order, http=(Http("POST", "/orders", body="*"),))


class Greeter(GreeterService):
    async def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:
        return HelloReply(message=f"Hello {request.name}")


class Orders(Service):
    __operations__ = (("place", PLACE),)

    async def place(self, request: Order, call: Call) -> Order:
        return request


async def main(variant: str) -> None:
    usual: list[Middleware] = [recovery(), access_log(), metadata()]
    servers = {engine: HTTPServer("127.0.0.1:0", engine=engine) for engine in ("fast", "asgi")}
    app = App(
        name="bench",
        services=[Greeter(), Orders()],
        middleware=usual if variant == "full" else [],
        servers=list(servers.values()),
    )
    async with app:
        print(json.dumps({engine: urlsplit(each.endpoint).port for engine, each in servers.items()}), flush=True)
        await asyncio.Event().wait()


uvloop.run(main(sys.argv[1]))
