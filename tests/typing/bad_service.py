"""Mistakes that both checkers must find: each marked line has one, and no other line has any. Never run."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fixtures.gen.fixture.helloworld.v1.error_reason_errors import UserNotFound
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsService
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong

from kratos.call import Call
from kratos.service import Messages

HelloRequest(name=1)  # E: a field has a type
HelloRequest(nam="kratos")  # E: a field has a name
str(HelloRequest().nam)  # E: here too
UserNotFound(metadata={"count": 1})  # E: metadata is text
UserNotFound("who?", status=404)  # E: it is called code


class WrongRequest(GreeterService):
    async def say_hello(self, request: Ping, call: Call) -> HelloReply:  # E: another request
        return HelloReply(message=request.text)


class WrongReply(GreeterService):
    async def say_hello(self, request: HelloRequest, call: Call) -> Pong:  # E: another reply
        return Pong()


class WithoutCall(GreeterService):
    async def say_hello(self, request: HelloRequest) -> HelloReply:  # E: the call is missing
        return HelloReply()


class NotAsync(GreeterService):
    def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:  # E: the base is async
        return HelloReply()


class WrongStreams(KindsService):
    async def watch(self, request: Ping, call: Call) -> Pong:  # E: replies are many
        return Pong()

    async def collect(self, requests: Ping, call: Call) -> Pong:  # E: requests are many
        return Pong()

    async def chat(self, requests: Messages[Ping], call: Call) -> AsyncIterator[Ping]:  # E: another reply
        async for request in requests:
            yield request


class WrongBodies(KindsService):
    async def echo(self, request: Ping, call: Call) -> Pong:
        return request  # E: the request is not the reply

    async def watch(self, request: Ping, call: Call) -> AsyncIterator[Pong]:
        yield Ping()  # E: nor here
