"""All four kinds of call against our own server, over a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterClient, GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest
from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope, OddCode
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Kinds

from kratos.app import App, Shutdown
from kratos.call import Call, Reply
from kratos.codec import JsonCodec, ProtoCodec
from kratos.errors import BadRequest, GatewayTimeout, InternalServer, NotFound
from kratos.handler import Messages
from kratos.operation import Http, Unary
from kratos.transport.client import Client
from kratos.transport.http.client import HTTPClient
from kratos.transport.http.format import Envelope, Format
from kratos.transport.http.server import HTTPServer


class Greeter(GreeterService):
    async def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:
        call.reply.headers.set("x-name", "café")
        call.reply.status = 202
        left = call.remaining()
        return HelloReply(message=f"{request.name}|{left is not None and left < 3}")


class Noting(Kinds):
    """Notes how the calls with streamed requests ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[object] = []

    async def collect(self, requests: Messages[Ping], call: Call) -> Pong:
        try:
            reply = await super().collect(requests, call)
        except BaseException as failure:
            self.ends.append(failure)
            raise
        self.ends.append(reply)
        return reply


@pytest.fixture
async def service() -> Noting:
    return Noting()


@pytest.fixture(params=["json", "proto"])
async def client(request: pytest.FixtureRequest, service: Noting) -> AsyncIterator[Client]:
    codec = JsonCodec() if request.param == "json" else ProtoCodec()
    server = HTTPServer("127.0.0.1:0")
    app = App(name="t", services=[Greeter(), service], servers=[server], shutdown=Shutdown(finish=1, drain=0))
    async with app, HTTPClient(server.endpoint, codec=codec) as connected:
        yield connected


@pytest.fixture
def api(client: Client) -> KindsClient:
    return KindsClient(client)


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something to become true on the other side."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("name", ["a", "a b/c?d%&e#é", "%2F", "..a", " ", "\U0001f600"])
async def test_names_in_the_path(client: Client, name: str) -> None:
    """Whatever is in a path variable arrives; status, headers and the deadline do as well."""
    reply = Reply()
    assert (await GreeterClient(client).say_hello(HelloRequest(name=name), reply=reply)).message == f"{name}|True"
    assert (reply.status, reply.headers.get("x-name")) == (202, "café")


async def test_unary(api: KindsClient) -> None:
    """Requests, replies and errors are whole."""
    assert await api.echo(Ping(text="é", count=-3)) == Pong(text="é", count=-3)
    with pytest.raises(Nope, match="not here") as raised:
        await api.echo(Ping(text="nope"))
    assert (raised.value.code, raised.value.metadata) == (404, {"text": "nope"})
    with pytest.raises(OddCode) as odd:
        await api.echo(Ping(text="odd"))
    assert (odd.value.code, odd.value.metadata) == (422, {"k": "v"})
    with pytest.raises(InternalServer, match="internal error"):
        await api.echo(Ping(text="crash"))
    with pytest.raises(GatewayTimeout):
        await api.echo(Ping(text="hang"), timeout=0.1)


async def test_unknown_routes(client: Client) -> None:
    """What the server does not have is its own 404."""
    operation = Unary("/p.S/M", Ping, Pong, http=(Http("GET", "/nope"),))
    with pytest.raises(NotFound) as raised:
        await client.unary(operation, Ping(), {}, {})
    assert raised.value.reason == "ROUTE_NOT_FOUND"
    wrong = Unary("/p.S/M", Ping, Pong, http=(Http("GET", "/kinds/watch/{text}"),))
    with pytest.raises(BadRequest):
        await client.unary(wrong, Ping(), {}, {})


async def test_server_stream(api: KindsClient) -> None:
    """Replies come in order; an error after them is whole."""
    async with api.watch(Ping(text="a b", count=5)) as replies:
        assert [(reply.text, reply.count) async for reply in replies] == [("a b", number) for number in range(5)]
    async with api.watch(Ping(text="a", count=0)) as replies:
        assert [reply async for reply in replies] == []
    for count in (0, 2):
        got: list[Any] = []
        with pytest.raises(Nope, match="not here") as raised:
            async with api.watch(Ping(text="nope", count=count)) as replies:
                async for reply in replies:
                    got = [*got, reply]
        assert raised.value.metadata == {"text": "nope"}
        assert len(got) == count


async def test_client_stream(api: KindsClient) -> None:
    """Many requests, one reply, or an error with everything in it."""
    async with api.collect() as stream:
        for word in ("a", "b", "c"):
            await stream.send(Ping(text=word))
        assert await stream.reply() == Pong(text="a b c", count=3)
    async with api.collect() as stream:
        assert await stream.reply() == Pong()
    with pytest.raises(Nope, match="not here") as raised:
        async with api.collect() as stream:
            await stream.send(Ping(text="nope"))
            await stream.reply()
    assert (raised.value.code, raised.value.metadata) == (404, {"text": "nope"})


async def test_bidi(api: KindsClient) -> None:
    """Requests and replies in turn, with a good end from either side, or a bad one."""
    async with api.chat() as stream:
        for word in ("a", "b"):
            await stream.send(Ping(text=word, count=1))
            assert await anext(aiter(stream)) == Pong(text=word, count=1)
        await stream.done()
        assert [reply async for reply in stream] == []
    async with api.chat() as stream:
        await stream.send(Ping(text="bye"))
        assert [reply async for reply in stream] == []
    with pytest.raises(OddCode) as odd:
        async with api.chat() as stream:
            await stream.send(Ping(text="odd"))
            await anext(aiter(stream))
    assert (odd.value.code, odd.value.metadata) == (422, {"k": "v"})


async def test_leaving_early(api: KindsClient, service: Noting) -> None:
    """Leaving a stream ends it on the server."""
    async with api.watch(Ping(text="hang", count=1)) as replies:
        await anext(aiter(replies))
    async with api.chat() as stream:
        await stream.send(Ping(text="a"))
        await anext(aiter(stream))
    await until(lambda: service.closed == 2)


async def test_a_stream_given_up_is_not_half_a_request(api: KindsClient, service: Noting) -> None:
    """A client that leaves in the middle of its requests is not taken for one that has sent them all."""
    async with api.collect() as stream:
        await stream.send(Ping(text="a"))
        await until(lambda: bool(service.calls))
    await until(lambda: bool(service.ends))
    assert [type(end) for end in service.ends] == [asyncio.CancelledError]


@pytest.mark.parametrize("envelope", [Envelope(), Envelope(code="ret", message="msg", data="body", success=200)])
async def test_envelopes(service: Noting, envelope: Envelope) -> None:
    """A client that knows of the envelope does not notice it; streams have none."""
    server = HTTPServer("127.0.0.1:0", format=Format(envelope=envelope))
    app = App(name="t", services=[service], servers=[server], shutdown=Shutdown(finish=1, drain=0))
    async with app, HTTPClient(server.endpoint, envelope=envelope) as connected:
        api = KindsClient(connected)
        assert await api.echo(Ping(text="é", count=-3)) == Pong(text="é", count=-3)
        with pytest.raises(Nope, match="not here") as raised:
            await api.echo(Ping(text="nope"))
        assert (raised.value.code, raised.value.metadata) == (404, {"text": "nope"})
        async with api.watch(Ping(text="a", count=2)) as replies:
            assert len([reply async for reply in replies]) == 2
