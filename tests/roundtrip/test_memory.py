"""What is shown in memory, where time stands still: deadlines, back-pressure, unreadable requests, parents."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Counting, Kinds, nothing_left

from kratos.call import Call, current_call
from kratos.codec.json import JsonCodec
from kratos.codec.proto import ProtoCodec
from kratos.errors import BadRequest, GatewayTimeout
from kratos.handler import Handler
from kratos.testing import FakeClock, serve


@pytest.fixture(params=["proto", "json"])
def codec(request: pytest.FixtureRequest) -> Any:
    return ProtoCodec() if request.param == "proto" else JsonCodec()


async def test_slow_reader_holds_the_server_back(codec: Any) -> None:
    """The server runs a handful of messages ahead of the reader, no more."""
    sent = 0

    async def counting(request: Any, call: Call, next: Handler) -> Any:
        def count(reply: Any) -> Any:
            nonlocal sent
            sent += 1
            return reply

        call.each_reply(count)
        return await next(request, call)

    async with (
        serve(Kinds(), middleware=[counting], codec=codec) as conn,
        KindsClient(conn).watch(Ping(count=1000)) as replies,
    ):
        await anext(aiter(replies))
        for _ in range(50):
            await asyncio.sleep(0)
        assert sent <= 6


async def test_deadline_of_the_client(codec: Any) -> None:
    """A caller's timeout ends the call on both sides with 504 and says whose limit it was."""
    with nothing_left(), FakeClock() as clock:
        async with serve(Kinds(), codec=codec) as conn:
            task = asyncio.create_task(KindsClient(conn).echo(Ping(text="hang"), timeout=0.5))
            await clock.advance(0.4)
            assert not task.done()
            await clock.advance(0.2)
            with pytest.raises(GatewayTimeout) as failure:
                await task
    assert failure.value.reason == "DEADLINE_EXCEEDED"
    assert failure.value.metadata == {"limit": "client"}


async def test_deadline_of_the_server(codec: Any) -> None:
    """The server's limit ends a unary call; the caller learns that it was the server's."""
    with nothing_left(), FakeClock() as clock:
        async with serve(Kinds(), timeout=1.0, client_timeout=None, codec=codec) as conn:
            task = asyncio.create_task(KindsClient(conn).echo(Ping(text="hang")))
            await clock.advance(1.05)
            with pytest.raises(GatewayTimeout) as failure:
                await task
    assert failure.value.metadata == {"limit": "server"}


async def test_streams_outlive_the_unary_limit(codec: Any) -> None:
    """Limits for unary calls do not cut streams; a stream's own timeout does."""
    with nothing_left(), FakeClock() as clock:
        async with serve(Kinds(), timeout=1.0, client_timeout=1.0, codec=codec) as conn:
            api = KindsClient(conn)
            async with api.chat() as stream:
                await clock.advance(60)
                await stream.send(Ping(text="still here"))
                assert (await anext(aiter(stream))).text == "still here"
            async with api.chat(timeout=2.0) as stream:
                await clock.advance(2.1)
                with pytest.raises(GatewayTimeout):
                    await anext(aiter(stream))


@pytest.mark.parametrize("kind", ["unary", "stream"])
async def test_rejected_request_passes_the_chain(kind: str) -> None:
    """A request that cannot be read is seen by middleware, and never by the service."""

    class Garbling(ProtoCodec):
        def encode(self, message: object, /) -> bytes:
            return b"\xff\xff\xff" if isinstance(message, Ping) else super().encode(message)

    service, counting = Kinds(), Counting()
    async with serve(service, middleware=[counting], codec=Garbling()) as conn:
        with pytest.raises(BadRequest) as failure:
            if kind == "unary":
                await KindsClient(conn).echo(Ping(text="a"))
            else:
                async with KindsClient(conn).watch(Ping(count=1)) as replies:
                    await anext(aiter(replies))
    assert failure.value.reason == "CODEC"
    assert service.calls == []
    assert counting.seen == Counter(open=1, requests=1, BadRequest=1, close=1)


async def test_unreadable_message_in_a_stream_fails_the_call() -> None:
    """A request message that cannot be read fails the call from where the handler reads it."""

    class Garbling(ProtoCodec):
        def encode(self, message: object, /) -> bytes:
            return b"\xff\xff\xff" if isinstance(message, Ping) else super().encode(message)

    counting = Counting()
    async with serve(Kinds(), middleware=[counting], codec=Garbling()) as conn:
        with pytest.raises(BadRequest, match="CODEC"):
            async with KindsClient(conn).collect() as stream:
                await stream.send(Ping(text="a"))
                await stream.reply()
    assert counting.seen == Counter(open=1, BadRequest=1, close=1)


async def test_nested_call_knows_its_parent() -> None:
    """A call made while serving is a child: it inherits the deadline that is left."""
    inner_calls: list[Call] = []

    async def note(request: Any, call: Call, next: Handler) -> Any:
        assert current_call() is call.parent
        inner_calls.append(call)
        return await next(request, call)

    async with serve(Kinds(), client_middleware=[note]) as backend:

        class Front(Kinds):
            async def echo(self, request: Ping, call: Call) -> Pong:
                reply = await KindsClient(backend).echo(request, timeout=60)
                assert current_call() is call
                return reply

        front = Front()
        async with serve(front) as conn:
            await KindsClient(conn).echo(Ping(text="a"), timeout=1.0)
    (inner,) = inner_calls
    assert inner.parent is not None
    assert inner.deadline == inner.parent.deadline
    assert inner.limit == "client"


async def test_entering_a_stream_twice_is_refused() -> None:
    """One stream is one call."""
    async with serve(Kinds()) as conn:
        stream = KindsClient(conn).chat()
        async with stream:
            pass
        with pytest.raises(RuntimeError, match="entered once"):
            async with stream:
                pass


async def test_each_reply_runs_from_the_handler_outward() -> None:
    """The innermost middleware's function sees a reply first."""
    order: list[str] = []

    def tagging(tag: str) -> Any:
        async def middleware(request: Any, call: Call, next: Handler) -> Any:
            def note(reply: Any) -> Any:
                order.append(tag)
                return reply

            call.each_reply(note)
            return await next(request, call)

        return middleware

    async with (
        serve(Kinds(), middleware=[tagging("outer"), tagging("inner")]) as conn,
        KindsClient(conn).watch(Ping(count=1)) as replies,
    ):
        async for _ in replies:
            pass
    assert order == ["inner", "outer"]
