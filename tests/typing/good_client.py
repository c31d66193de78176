"""Calls of every kind as users write them: every line must satisfy both checkers. Never run."""

from __future__ import annotations

from typing import assert_type, reveal_type

from fixtures.gen.fixture.helloworld.v1.error_reason_errors import UserNotFound
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterClient
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong

from kratos.call import Reply
from kratos.errors import NotFound
from kratos.service import CallOptions, Invoker


async def unary(connection: Invoker) -> str:
    client = GreeterClient(connection, errors=(UserNotFound,))
    reply = Reply()
    options: CallOptions = {"idempotent": True}
    try:
        said = await client.say_hello(HelloRequest(name="kratos"), timeout=1.0, reply=reply, headers={"x-md-a": "b"})
        again = await client.say_hello(HelloRequest(), **options)
    except UserNotFound as error:
        found: NotFound = error
        return f"{found.metadata} {assert_type(error.reason, str)}"
    assert_type(said, HelloReply)
    assert_type(again, HelloReply)
    reveal_type(await client.say_hello(HelloRequest()))  # R: HelloReply
    return assert_type(said.message, str)


async def streams(connection: Invoker) -> None:
    client = KindsClient(connection)
    async with client.watch(Ping(count=3), hash_key="a") as replies:
        async for reply in replies:
            assert_type(reply, Pong)
    async with client.collect(wait_for_ready=True) as requests:
        await requests.send(Ping())
        assert_type(await requests.reply(), Pong)
    async with client.chat() as both:
        await both.send(Ping())
        await both.done()
        assert_type(await anext(both), Pong)
        async for reply in both:
            reveal_type(reply)  # R: Pong
