"""All four kinds through one chain, in memory, with both codecs and with middleware on and off."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope, OddCode
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Counting, Kinds, nothing_left

from kratos.call import Call, Reply, current_call
from kratos.codec.json import JsonCodec
from kratos.codec.proto import ProtoCodec
from kratos.errors import BadRequest, ClientClosed, Forbidden, GatewayTimeout, InternalServer
from kratos.handler import Handler
from kratos.testing import FakeClock, serve


class Rig:
    """A served fixture with a counting middleware on both sides."""

    def __init__(self, conn: Any, service: Kinds, server: Counting, client: Counting) -> None:
        self.conn = conn
        self.api = KindsClient(conn)
        self.service = service
        self.server = server
        self.client = client

    def counted(self, **expected: int) -> None:
        """Asserts what each side's middleware counted; without middleware there is nothing to assert."""
        for side in (self.server, self.client):
            if side.seen:
                assert side.seen == Counter(open=1, close=1) + Counter(expected), side.seen


@pytest.fixture(params=["proto", "json"])
def codec(request: pytest.FixtureRequest) -> Any:
    return ProtoCodec() if request.param == "proto" else JsonCodec()


@pytest.fixture(params=["middleware", "bare"])
async def rig(request: pytest.FixtureRequest, codec: Any) -> AsyncIterator[Rig]:
    service, server, client = Kinds(), Counting(), Counting()
    wanted = request.param == "middleware"
    with nothing_left():
        async with serve(
            service,
            middleware=[server] if wanted else [],
            client_middleware=[client] if wanted else [],
            codec=codec,
        ) as conn:
            with nothing_left():
                yield Rig(conn, service, server, client)


async def test_unary(rig: Rig) -> None:
    """One request, one reply."""
    assert await rig.api.echo(Ping(text="a", count=3)) == Pong(text="a", count=3)
    rig.counted(ok=1, requests=1, replies=1)


async def test_server_stream(rig: Rig) -> None:
    """One request, many replies in order."""
    async with rig.api.watch(Ping(text="a", count=5)) as replies:
        assert [reply.count async for reply in replies] == [0, 1, 2, 3, 4]
    rig.counted(ok=1, requests=1, replies=5)


async def test_client_stream(rig: Rig) -> None:
    """Many requests, one reply."""
    async with rig.api.collect() as stream:
        for text in ("a", "b", "c"):
            await stream.send(Ping(text=text))
        assert await stream.reply() == Pong(text="a b c", count=3)
    rig.counted(ok=1, requests=3, replies=1)


async def test_client_stream_without_requests(rig: Rig) -> None:
    """No request at all is a stream too."""
    async with rig.api.collect() as stream:
        assert await stream.reply() == Pong()
    rig.counted(ok=1, replies=1)


async def test_client_stream_answered_early(rig: Rig) -> None:
    """The server may answer before all is sent; sending on tells so, and the reply is there."""
    async with rig.api.collect() as stream:
        with pytest.raises(ClientClosed, match="ended the stream"):
            for _ in range(10):
                await stream.send(Ping(text="enough"))
        assert await stream.reply() == Pong(text="enough", count=1)


async def test_bidi(rig: Rig) -> None:
    """Requests and replies alternate."""
    async with rig.api.chat() as stream:
        for number in range(3):
            await stream.send(Ping(text="x", count=number))
            assert (await anext(aiter(stream))).count == number
        await stream.done()
        assert [reply async for reply in stream] == []
    rig.counted(ok=1, requests=3, replies=3)


async def test_bidi_ended_by_the_server(rig: Rig) -> None:
    """The server may end the call while the client still could send."""
    async with rig.api.chat() as stream:
        await stream.send(Ping(text="bye"))
        assert [reply async for reply in stream] == []
    rig.counted(ok=1, requests=1)


@pytest.mark.parametrize(("text", "error", "code"), [("nope", Nope, 404), ("odd", OddCode, 422)])
async def test_error_of_every_kind(rig: Rig, text: str, error: type[Exception], code: int) -> None:
    """An error from an enum is caught by its generated class, whatever the kind of call."""
    with pytest.raises(error) as failure:
        await rig.api.echo(Ping(text=text))
    assert failure.value.code == code  # type: ignore[attr-defined]
    with pytest.raises(error):
        async with rig.api.watch(Ping(text=text, count=2)) as replies:
            _ = [reply async for reply in replies]
    with pytest.raises(error):
        async with rig.api.collect() as stream:
            await stream.send(Ping(text=text))
            await stream.reply()
    with pytest.raises(error):
        async with rig.api.chat() as chat:
            await chat.send(Ping(text=text))
            _ = [reply async for reply in chat]


async def test_replies_before_a_failure_arrive(rig: Rig) -> None:
    """What was sent before the failure is delivered before it."""
    got = []
    with pytest.raises(Nope):
        async with rig.api.watch(Ping(text="nope", count=3)) as replies:
            async for reply in replies:
                got.append(reply.count)  # noqa: PERF401 - a comprehension would lose what came before the failure
    assert got == [0, 1, 2]
    rig.counted(Nope=1, requests=1, replies=3)


async def test_unexpected_failure_is_concealed(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """A crash is a 500 with an error id; its text is in the log under that id and not in the reply."""
    with pytest.raises(InternalServer) as failure:
        await rig.api.echo(Ping(text="crash"))
    assert failure.value.reason == "UNKNOWN"
    assert "secret" not in str(failure.value)
    assert failure.value.metadata["error_id"] in caplog.text
    assert "secret-db-password" in caplog.text


async def test_early_break_frees_everything(rig: Rig) -> None:
    """A caller who leaves the block early cancels the call on both sides, and waits until it is gone."""
    async with rig.api.watch(Ping(text="a", count=1000)) as replies:
        async for _ in replies:
            break
    assert rig.service.closed == 1
    if rig.client.seen:
        assert rig.client.seen["cancelled"] == rig.server.seen["cancelled"] == 1
        assert rig.client.seen["close"] == rig.server.seen["close"] == 1


async def test_never_read_stream_is_freed(rig: Rig) -> None:
    """A stream that nobody reads ends with its block."""
    async with rig.api.watch(Ping(text="a", count=1000)), rig.api.chat():
        await asyncio.sleep(0)


async def test_slow_reader_holds_the_server_back(rig: Rig) -> None:
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
        serve(rig.service, middleware=[counting]) as conn,
        KindsClient(conn).watch(Ping(count=1000)) as replies,
    ):
        await anext(aiter(replies))
        for _ in range(50):
            await asyncio.sleep(0)
        assert sent <= 6


async def test_cancelled_caller_cancels_the_call(rig: Rig) -> None:
    """Cancelling a unary caller reaches the handler."""
    with nothing_left():
        task = asyncio.create_task(rig.api.echo(Ping(text="hang")))
        while not rig.service.calls:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    if rig.client.seen:
        assert rig.client.seen["cancelled"] == rig.server.seen["cancelled"] == 1


async def test_deadline_of_the_client(rig: Rig) -> None:
    """A caller's timeout ends the call on both sides with 504 and says whose limit it was."""
    with FakeClock() as clock:
        task = asyncio.create_task(rig.api.echo(Ping(text="hang"), timeout=0.5))
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


async def test_headers_both_ways(rig: Rig) -> None:
    """Request headers arrive, reply headers and trailers come back through ``reply=``."""

    async def polite(request: Any, call: Call, next: Handler) -> Any:
        call.reply.headers.set("x-seen", call.headers.get("x-sent") or "")
        call.reply.trailers.set("x-after", "1")
        return await next(request, call)

    async with serve(rig.service, middleware=[polite]) as conn:
        reply = Reply()
        await KindsClient(conn).echo(Ping(), headers={"X-Sent": "v"}, reply=reply)
    assert reply.headers.get("x-seen") == "v"
    assert reply.trailers.get("x-after") == "1"


async def test_deny_all_blocks_every_kind(codec: Any) -> None:
    """A middleware that raises lets nothing through to the service."""

    async def deny(request: Any, call: Call, next: Handler) -> Any:
        raise Forbidden("no", reason="DENIED")

    service = Kinds()
    async with serve(service, middleware=[deny], codec=codec) as conn:
        api = KindsClient(conn)
        with pytest.raises(Forbidden):
            await api.echo(Ping())
        with pytest.raises(Forbidden):
            async with api.watch(Ping(count=1)) as replies:
                await anext(aiter(replies))
        with pytest.raises(Forbidden):
            async with api.collect() as stream:
                await stream.reply()
        with pytest.raises(Forbidden):
            async with api.chat() as chat:
                await anext(aiter(chat))
    assert service.calls == []


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
