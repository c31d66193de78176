"""Mistakes that both checkers must find: each marked line has one, and no other line has any. Never run."""

from __future__ import annotations

from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterClient
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloRequest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong

from kratos.service import Invoker


async def unary(connection: Invoker) -> None:
    client = GreeterClient(connection)
    await client.say_hello(Ping())  # E: another request
    await client.say_hello(HelloRequest(), timout=1.0)  # E: no such option
    await client.say_hello(HelloRequest(), timeout="1s")  # E: seconds are a number
    await client.say_helo(HelloRequest())  # E: no such method
    str((await client.say_hello(HelloRequest())).massage)  # E: no such field
    str(client.say_hello(HelloRequest()).message)  # E: not awaited
    GreeterClient()  # E: what would make the calls?


async def streams(connection: Invoker) -> None:
    client = KindsClient(connection)
    async for _ in client.watch(Ping()):  # E: a stream is opened first
        pass
    await client.watch(Ping())  # E: and is not awaited
    async with client.watch(Ping()) as replies:
        await replies.send(Ping())  # E: only the server sends
    async with client.collect() as requests:
        await requests.send(Pong())  # E: another message
    async with client.collect(Ping()) as requests:  # E: requests are sent, not passed
        async for _ in requests:  # E: there is one reply
            pass
    async with client.chat() as both:
        await both.send(Pong())  # E: another message
        str((await anext(both)).txt)  # E: no such field
