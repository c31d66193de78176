"""A greeter, orders and a stream of ours, and the usual middleware."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from fixtures.gen.fixture.codec.v1.order_pb import Order
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsService
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong

from kratos import Call, Middleware
from kratos.app import Hook
from kratos.middleware import access_log, metadata, metrics, recovery, tracing
from kratos.operation import Http, Unary
from kratos.service import Service

__all__ = ["Greeter", "Orders", "Stream", "equipped"]

PLACE = Unary("/bench.v1.Orders/Place", Order, Order, http=(Http("POST", "/orders", body="*"),))


def equipped(variant: str) -> tuple[list[Middleware], list[Hook]]:
    """Returns middleware and hooks of a variant: ``bare``, ``full``, ``stalled`` or ``everything``."""
    if variant == "stalled":
        _, unread = os.pipe()  # nobody will ever read what is written there
        return [recovery(), access_log(to=os.fdopen(unread, "w"), format="json"), metadata()], []
    if variant != "everything":
        return ([recovery(), access_log(), metadata()] if variant == "full" else []), []
    from kratos.contrib.otel import OpenTelemetry  # noqa: PLC0415 - the others do without its libraries

    otel = OpenTelemetry(metrics=False, logs=False)
    chain = [recovery(), tracing(otel.tracers, sample=0.01), metrics(), metadata(), access_log()]
    return chain, [otel]


class Greeter(GreeterService):
    async def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:
        return HelloReply(message=f"Hello {request.name}")


class Stream(KindsService):
    async def watch(self, request: Ping, call: Call) -> AsyncIterator[Pong]:
        for number in range(request.count):
            yield Pong(text=request.text, count=number)


class Orders(Service):
    __operations__ = (("place", PLACE),)

    async def place(self, request: Order, call: Call) -> Order:
        return request
