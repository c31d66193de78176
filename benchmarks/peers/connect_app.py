"""The same greeter, orders and stream on connectrpc: ``python connect_app.py uvicorn`` or ``pyvoy``.

Its guide to deployment has uvicorn for HTTP/1.1 and, for HTTP/2, pyvoy: Python embedded in Envoy. gRPC needs the
latter. What ``protoc-gen-connectrpc`` would generate is written by hand; the messages are those of our fixtures.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.server import ConnectASGIApplication, Endpoint
from fixtures.gen.fixture.codec.v1.order_pb import Order
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong


async def say_hello(request: HelloRequest, context: Any) -> HelloReply:
    return HelloReply(message=f"Hello {request.name}")


async def place(request: Order, context: Any) -> Order:
    return request


async def watch(request: Ping, context: Any) -> AsyncIterator[Pong]:
    for number in range(request.count):
        yield Pong(text=request.text, count=number)


def method(service: str, name: str, types: tuple[type, type], kind: StreamType, level: IdempotencyLevel) -> Any:
    return MethodInfo(
        name=name, service_name=service, input=types[0], output=types[1], idempotency_level=level, stream_type=kind
    )


READS, WRITES = IdempotencyLevel.NO_SIDE_EFFECTS, IdempotencyLevel.UNKNOWN
GREETER, ORDERS, KINDS = "fixture.helloworld.v1.Greeter", "bench.v1.Orders", "fixture.kinds.v1.Kinds"
SERVICES: dict[str, dict[str, Any]] = {
    f"/{GREETER}": {
        f"/{GREETER}/SayHello": Endpoint.unary(
            method(GREETER, "SayHello", (HelloRequest, HelloReply), StreamType.UNARY, READS), say_hello
        )
    },
    f"/{ORDERS}": {
        f"/{ORDERS}/Place": Endpoint.unary(method(ORDERS, "Place", (Order, Order), StreamType.UNARY, WRITES), place)
    },
    f"/{KINDS}": {
        f"/{KINDS}/Watch": Endpoint.server_stream(
            method(KINDS, "Watch", (Ping, Pong), StreamType.SERVER_STREAM, WRITES), watch
        )
    },
}


class Application(ConnectASGIApplication[None]):
    """All services; a generated application has one of them."""

    @property
    def path(self) -> str:
        return ""

    def __init__(self) -> None:
        endpoints = {path: each for several in SERVICES.values() for path, each in several.items()}
        super().__init__(service=None, endpoints=lambda _: endpoints)


app = Application()


async def on_pyvoy() -> None:
    from pyvoy import PyvoyServer  # noqa: PLC0415 - wanted here only

    # One thread of Envoy's, as the others have one event loop; Python runs in another one.
    one = ["--concurrency", "1"]
    server = PyvoyServer("connect_app:app", loop="uvloop", additional_envoy_args=one, stderr=None)
    async with server:
        print(json.dumps({"grpc": server.listener_port}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1] == "pyvoy":
        asyncio.run(on_pyvoy())
    else:
        from uvicorned import serve

        serve(app)
