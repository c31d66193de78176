"""Our channel and our server together: errors keep everything, limits and cancellation reach across, nothing grows."""

from __future__ import annotations

import asyncio
import gc
import sys
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope, OddCode
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Counting, Kinds
from unit.transport.grpc.rig import no_task_left, until

import kratos
from kratos.call import Call, Reply
from kratos.errors import Error, GatewayTimeout, InternalServer, error_class, grpc_code, http_code
from kratos.handler import Handler, Messages
from kratos.wire.google.rpc.error_details_pb import RetryInfo

CODES = range(400, 600)


class Failing(Kinds):
    """Fails with the code that ``count`` says."""

    def fail(self, request: Ping) -> None:
        raise Error(
            f"mésSage {request.count} \n%",
            code=request.count,
            reason=f"REASON_{request.count}",
            metadata={"k": "v", "ü": "日本"},
            details=[RetryInfo()],
        )

    async def echo(self, request: Ping, call: Call) -> Pong:
        self.fail(request)
        return Pong()

    async def watch(self, request: Ping, call: Call) -> AsyncIterator[Pong]:
        yield Pong(text="before")
        self.fail(request)

    async def collect(self, requests: Messages[Ping], call: Call) -> Pong:
        async for request in requests:
            self.fail(request)
        return Pong()

    async def chat(self, requests: Messages[Ping], call: Call) -> AsyncIterator[Pong]:
        yield Pong(text="before")
        async for request in requests:
            self.fail(request)


async def failures(api: KindsClient, code: int) -> list[Error]:
    """Returns what each kind of call fails with."""
    found = []
    with pytest.raises(Error) as failure:
        await api.echo(Ping(count=code))
    found.append(failure.value)
    with pytest.raises(Error) as failure:
        async with api.watch(Ping(count=code)) as replies:
            assert (await anext(aiter(replies))).text == "before"
            await anext(aiter(replies))
    found.append(failure.value)
    with pytest.raises(Error) as failure:
        async with api.collect() as stream:
            await stream.send(Ping(count=code))
            await stream.reply()
    found.append(failure.value)
    with pytest.raises(Error) as failure:
        async with api.chat() as both:
            assert (await anext(aiter(both))).text == "before"
            await both.send(Ping(count=code))
            await anext(aiter(both))
    found.append(failure.value)
    return found


@pytest.mark.parametrize("seconds", [0.5, 1.0, 5.003, 20.5, 100.0])
async def test_the_server_has_no_more_time_than_there_is(serve: Any, seconds: float) -> None:
    """grpcio rounds up what it sends; the next hop must not think that it has longer than its caller."""
    served = await serve(timeout=None)
    api = KindsClient(served.client())
    left = []
    for _ in range(10):  # the least of some: a busy machine makes grpcio's clocks differ for a moment
        await api.echo(Ping(), timeout=seconds)
        left.append(served.service.calls[-1].remaining())
    assert 0.98 * seconds - 0.05 < min(left) <= seconds


async def test_every_code_keeps_everything(serve: Any) -> None:
    """Every code from 400 to 599 keeps code, reason, message, metadata and details, in every kind of call."""
    served = await serve(Failing())
    api = KindsClient(served.client())
    for code in CODES:
        for error in await failures(api, code):
            assert type(error) is error_class(code)
            assert (error.code, error.reason, error.message) == (code, f"REASON_{code}", f"mésSage {code} \n%")
            assert error.metadata == {"k": "v", "ü": "日本"}
            assert [type(detail) for detail in error.details] == [RetryInfo]
            assert http_code(grpc_code(code)) // 100 == code // 100


async def test_four_kinds(serve: Any) -> None:
    """Every kind works, with middleware on both sides counting the same."""
    server, client = Counting(), Counting()
    served = await serve(middleware=[server])
    api = KindsClient(served.client(middleware=[client]))
    async with no_task_left():
        assert await api.echo(Ping(text="a", count=3)) == Pong(text="a", count=3)
        async with api.watch(Ping(text="a", count=3)) as replies:
            assert [reply.count async for reply in replies] == [0, 1, 2]
        async with api.collect() as stream:
            await stream.send(Ping(text="a"))
            await stream.send(Ping(text="b"))
            assert await stream.reply() == Pong(text="a b", count=2)
        async with api.chat() as both:
            await both.send(Ping(text="c"))
            assert (await anext(aiter(both))).text == "c"
            await both.done()
            assert [reply async for reply in both] == []
        for text, error in (("nope", Nope), ("odd", OddCode)):
            with pytest.raises(error):
                await api.echo(Ping(text=text))
        await until(lambda: server.seen["close"] == 6)
    assert client.seen == server.seen
    assert server.seen == {
        "open": 6, "close": 6, "ok": 4, "Nope": 1, "OddCode": 1, "requests": 7, "replies": 6,
    }  # fmt: skip


async def test_crash_is_concealed(serve: Any) -> None:
    """A crash arrives as a 500 with an error id, and without its text."""
    served = await serve()
    with pytest.raises(InternalServer) as failure:
        await KindsClient(served.client()).echo(Ping(text="crash"))
    assert failure.value.metadata.keys() == {"error_id"}
    assert "secret" not in repr(failure.value)


async def test_headers_that_gRPC_cannot_carry(serve: Any) -> None:
    """What the server leaves out or encodes, the client sees so; the call is fine."""

    async def polite(request: Any, call: Call, next: Handler) -> Any:
        call.reply.headers.set("x-name", call.headers.get("x-name") or "")
        call.reply.trailers.set("x-last", "ü")
        return await next(request, call)

    served = await serve(middleware=[polite])
    reply = Reply()
    await KindsClient(served.client()).echo(Ping(), headers={"x-name": "José", "bad!key": "1"}, reply=reply)
    assert reply.headers.get("x-name") == "Jos%C3%A9"
    assert reply.trailers.get("x-last") == "%C3%BC"


class Polite(Kinds):
    """Sends headers with every stream, and no message."""

    async def watch(self, request: Ping, call: Call) -> AsyncIterator[Pong]:
        call.reply.headers.set("x-first", "1")
        if request.text == "fail":
            raise Nope("no")
        return
        yield  # an async generator all the same


@pytest.mark.parametrize("text", ["fail", "end"])
async def test_headers_of_streams_without_a_message(serve: Any, text: str) -> None:
    """Who asks for the headers of a stream gets them, though it ends with them: grpcio loses some, if it may."""
    api = KindsClient((await serve(Polite())).client())
    async with no_task_left():
        for _ in range(100):
            reply = Reply()
            try:
                async with api.watch(Ping(text=text), reply=reply) as replies:
                    assert [message async for message in replies] == []
            except Nope:
                assert text == "fail"
            assert reply.headers.get("x-first") == "1"


async def test_deadlines_of_both_sides(serve: Any) -> None:
    """The caller learns whose limit it was, and the handler ends, for the client's limit and for the server's."""
    served = await serve(timeout=0.3)
    api = KindsClient(served.client(timeout=None))
    async with no_task_left():
        for options, limit in (({"timeout": 0.1}, "client"), ({}, "server")):
            with pytest.raises(GatewayTimeout) as failure:
                await api.echo(Ping(text="hang"), **options)
            assert failure.value.metadata == {"limit": limit}
        with pytest.raises(GatewayTimeout) as failure:
            async with api.chat(timeout=0.1) as both:
                await both.send(Ping(text="hang"))
                await anext(aiter(both))
        assert failure.value.metadata == {"limit": "client"}
        await until(lambda: not served.busy)


async def test_cancellation_reaches_the_handler(serve: Any) -> None:
    """A caller who is cancelled, or leaves its stream, cancels the handler and frees both sides."""
    counting = Counting()
    served = await serve(middleware=[counting])
    api = KindsClient(served.client(timeout=None))
    await api.echo(Ping())
    async with no_task_left():
        task = asyncio.create_task(api.echo(Ping(text="hang")))
        await until(lambda: len(served.service.calls) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with api.watch(Ping(text="a", count=1_000_000)) as replies:
            await anext(aiter(replies))
        async with api.chat() as both:
            await both.send(Ping(text="a"))
            await anext(aiter(both))
        await until(lambda: counting.seen["close"] == 4)
    assert counting.seen["cancelled"] == 3


def is_ours(frame: Any) -> bool:
    return str(frame.f_code.co_filename).startswith(str(Path(kratos.__file__).parent))


async def test_frames_of_a_failure(serve: Any, engine: str) -> None:
    """Between the caller and grpcio stand few frames of ours, and between the engine and the handler."""
    depth: list[str] = []

    class Tracing(Kinds):
        async def echo(self, request: Ping, call: Call) -> Pong:
            frame: Any = sys._getframe()
            while frame := frame.f_back:
                if is_ours(frame) and "/testing/" not in frame.f_code.co_filename:
                    depth.append(frame.f_code.co_qualname)
            return Pong()

    served = await serve(Tracing())
    await KindsClient(served.client()).echo(Ping())
    assert depth == ["Dispatcher.dispatch", {"grpcio": "Handlers._serve", "native": "Calls._serve"}[engine]]
    with pytest.raises(InternalServer) as failure:
        await KindsClient((await serve()).client()).echo(Ping(text="crash"))
    frames = [frame for frame, _ in traceback.walk_tb(failure.tb) if is_ours(frame)]
    names = [frame.f_code.co_name for frame in frames]
    assert len(names) <= 3, names  # Client.unary, Client._send, GRPCChannel._exchange


@pytest.mark.slow
async def test_nothing_grows(serve: Any) -> None:
    """Twenty thousand calls leave no task and no object behind."""
    served = await serve()
    served.service.calls = Forgetful()
    api = KindsClient(served.client())

    async def some(number: int) -> None:
        for _ in range(number):
            await api.echo(Ping(text="a"))

    async def burst(number: int) -> tuple[int, int]:
        await asyncio.gather(*(some(number // 20) for _ in range(20)))
        await until(lambda: not served.busy)
        await asyncio.sleep(0.05)
        gc.collect()
        return len(asyncio.all_tasks()), len(gc.get_objects())

    tasks, objects = await burst(1_000)
    after_tasks, after_objects = await burst(20_000)
    assert after_tasks <= tasks + 2
    assert after_objects <= objects + 200


class Forgetful(list[Call]):
    def append(self, call: Call) -> None:
        """Keeps nothing."""
