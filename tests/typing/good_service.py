"""A service as users write it: every line must satisfy both checkers. Never run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import assert_type

from fixtures.gen.fixture.helloworld.v1.error_reason_errors import UserNotFound
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GREETER_SAY_HELLO, GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsService
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong

from kratos.call import Call
from kratos.operation import AnyOperation
from kratos.service import Messages, Service


class Greeter(GreeterService):
    async def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:
        assert_type(request.name, str)
        if request.name == "nobody":
            raise UserNotFound("who?", metadata={"name": request.name})
        return HelloReply(message=f"Hello {request.name}")


class Kinds(KindsService):
    async def echo(self, request: Ping, call: Call) -> Pong:
        return Pong(text=request.text, count=request.count)

    # An async generator overrides a plain ``def`` that returns an AsyncIterator.
    async def watch(self, request: Ping, call: Call) -> AsyncIterator[Pong]:
        for number in range(request.count):
            yield Pong(count=number)

    async def collect(self, requests: Messages[Ping], call: Call) -> Pong:
        count = 0
        async for request in requests:
            assert_type(request, Ping)
            count += request.count
        return Pong(count=count)

    async def chat(self, requests: Messages[Ping], call: Call) -> AsyncIterator[Pong]:
        async for request in requests.map(lambda ping: Pong(text=ping.text)):
            yield request


class Forwarding(KindsService):
    # A method that returns somebody else's iterator is as good.
    def watch(self, request: Ping, call: Call) -> AsyncIterator[Pong]:
        return Kinds().watch(request, call)


services: list[Service] = [Greeter(), Kinds(), Forwarding()]
operations: list[AnyOperation] = [operation for service in services for _, operation in service.__operations__]
assert_type(GREETER_SAY_HELLO.request, type[HelloRequest])
assert_type(GREETER_SAY_HELLO.reply, type[HelloReply])
assert_type(UserNotFound.code, int)
assert_type(UserNotFound.reason, str)
