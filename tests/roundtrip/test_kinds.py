"""All four kinds through one chain: in memory and over sockets, with middleware on and off."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope, OddCode
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Counting, Kinds, nothing_left

from kratos.call import Call, Reply
from kratos.codec.json import JsonCodec
from kratos.codec.proto import ProtoCodec
from kratos.errors import ClientClosed, Error, Forbidden, GatewayTimeout, InternalServer
from kratos.handler import Handler
from kratos.testing import serve
from kratos.transport.http import HTTPServer

WIRES: dict[str, dict[str, Any]] = {
    "memory-proto": {"transport": "memory", "codec": ProtoCodec()},
    "memory-json": {"transport": "memory", "codec": JsonCodec()},
    "http-json": {"transport": "http"},
    "http-proto": {"transport": "http", "codec": ProtoCodec()},
    "http-asgi": {"transport": "http"},
    "grpc": {"transport": "grpc"},
    "grpc-native": {"transport": "grpc", "engine": "native"},
}
NATIVE = pytest.mark.skipif(not find_spec("pygrpc_native"), reason="needs kratos-py[native]")


class Rig:
    """A served fixture with a counting middleware on both sides."""

    def __init__(self, conn: Any, service: Kinds, server: Counting, client: Counting) -> None:
        self.conn = conn
        self.api = KindsClient(conn)
        self.service = service
        self.server = server
        self.client = client

    async def counted(self, **expected: int) -> None:
        """Asserts what each side's middleware counted; without middleware there is nothing to assert."""
        wanted = Counter(open=1, close=1) + Counter(expected)
        if self.client.seen:
            assert self.client.seen == wanted
            await eventually(lambda: self.server.seen == wanted)


async def eventually(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Waits for what the other side of a socket does in its own time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition():
        assert loop.time() < end, "it did not happen"
        await asyncio.sleep(0.005)


@pytest.fixture(params=[pytest.param(name, marks=NATIVE if "native" in name else ()) for name in WIRES])
def wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    if request.param == "http-asgi":
        monkeypatch.setitem(HTTPServer.__init__.__kwdefaults__, "engine", "asgi")
    return WIRES[request.param]


@pytest.fixture(params=["middleware", "bare"])
async def rig(request: pytest.FixtureRequest, wire: dict[str, Any]) -> AsyncIterator[Rig]:
    service, server, client = Kinds(), Counting(), Counting()
    wanted = request.param == "middleware"
    with nothing_left():
        async with serve(
            service,
            middleware=[server] if wanted else [],
            client_middleware=[client] if wanted else [],
            client_timeout=10.0,
            **wire,
        ) as conn:
            yield Rig(conn, service, server, client)


async def test_unary(rig: Rig) -> None:
    """One request, one reply."""
    assert await rig.api.echo(Ping(text="a", count=3)) == Pong(text="a", count=3)
    await rig.counted(ok=1, requests=1, replies=1)


async def test_server_stream(rig: Rig) -> None:
    """One request, many replies in order."""
    async with rig.api.watch(Ping(text="a", count=5)) as replies:
        assert [reply.count async for reply in replies] == [0, 1, 2, 3, 4]
    await rig.counted(ok=1, requests=1, replies=5)


async def test_client_stream(rig: Rig) -> None:
    """Many requests, one reply."""
    async with rig.api.collect() as stream:
        for text in ("a", "b", "c"):
            await stream.send(Ping(text=text))
        assert await stream.reply() == Pong(text="a b c", count=3)
    await rig.counted(ok=1, requests=3, replies=1)


async def test_client_stream_without_requests(rig: Rig) -> None:
    """No request at all is a stream too."""
    async with rig.api.collect() as stream:
        assert await stream.reply() == Pong()
    await rig.counted(ok=1, replies=1)


async def test_client_stream_answered_early(rig: Rig) -> None:
    """The server may answer before all is sent; sending on tells so, and the reply is there."""
    async with rig.api.collect() as stream:
        with pytest.raises(ClientClosed, match="ended the stream"):
            async with asyncio.timeout(30):
                while True:  # some fit into buffers on the way before the answer is here
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
    await rig.counted(ok=1, requests=3, replies=3)


async def test_bidi_ended_by_the_server(rig: Rig) -> None:
    """The server may end the call while the client still could send."""
    async with rig.api.chat() as stream:
        await stream.send(Ping(text="bye"))
        assert [reply async for reply in stream] == []
    await rig.counted(ok=1, requests=1)


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
    await rig.counted(Nope=1, requests=1, replies=3)


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
    async with rig.api.watch(Ping(text="a", count=1_000_000)) as replies:
        async for _ in replies:
            break
    await eventually(lambda: rig.service.closed == 1)
    if rig.client.seen:
        assert rig.client.seen["cancelled"] == rig.client.seen["close"] == 1
        await eventually(lambda: rig.server.seen["cancelled"] == rig.server.seen["close"] == 1)


async def test_never_read_stream_is_freed(rig: Rig) -> None:
    """A stream that nobody reads ends with its block."""
    async with rig.api.watch(Ping(text="a", count=1_000_000)), rig.api.chat():
        await asyncio.sleep(0)


async def test_cancelled_caller_cancels_the_call(rig: Rig) -> None:
    """Cancelling a unary caller reaches the handler."""
    task = asyncio.create_task(rig.api.echo(Ping(text="hang")))
    await eventually(lambda: rig.service.hanging)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: rig.service.hanging == 0)
    if rig.client.seen:
        assert rig.client.seen["cancelled"] == 1
        await eventually(lambda: rig.server.seen["cancelled"] == 1)


async def test_headers_both_ways(wire: dict[str, Any]) -> None:
    """Request headers arrive, reply headers and trailers come back through ``reply=``."""

    async def polite(request: Any, call: Call, next: Handler) -> Any:
        call.reply.headers.set("x-seen", call.headers.get("x-sent") or "")
        call.reply.trailers.set("x-after", "1")
        return await next(request, call)

    async with serve(Kinds(), middleware=[polite], **wire) as conn:
        reply = Reply()
        await KindsClient(conn).echo(Ping(), headers={"X-Sent": "v"}, reply=reply)
    assert reply.headers.get("x-seen") == "v"
    if wire["transport"] != "http":  # which has no trailers
        assert reply.trailers.get("x-after") == "1"


async def test_deny_all_blocks_every_kind(wire: dict[str, Any]) -> None:
    """A middleware that raises lets nothing through to the service."""

    async def deny(request: Any, call: Call, next: Handler) -> Any:
        raise Forbidden("no", reason="DENIED")

    service = Kinds()
    async with serve(service, middleware=[deny], **wire) as conn:
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


async def test_a_stream_that_hangs_is_cancelled(rig: Rig) -> None:
    """Leaving the block of a stream whose server does nothing reaches the handler, on every kind."""
    async with rig.api.watch(Ping(text="hang")):
        await eventually(lambda: rig.service.hanging == 1)
    async with rig.api.collect() as collect:
        await collect.send(Ping(text="hang"))
        await eventually(lambda: rig.service.hanging == 1)
    async with rig.api.chat() as chat:
        await chat.send(Ping(text="hang"))
        await eventually(lambda: rig.service.hanging == 1)
    await eventually(lambda: rig.service.hanging == 0)


async def test_deadline(rig: Rig) -> None:
    """A caller's timeout ends calls of every kind with 504 on both sides."""
    with pytest.raises(GatewayTimeout) as failure:
        await rig.api.echo(Ping(text="hang"), timeout=0.2)
    assert failure.value.reason == "DEADLINE_EXCEEDED"
    assert failure.value.metadata == {"limit": "client"}
    with pytest.raises(GatewayTimeout):
        async with rig.api.watch(Ping(text="hang"), timeout=0.2) as replies:
            await anext(aiter(replies))
    with pytest.raises(GatewayTimeout):
        async with rig.api.chat(timeout=0.2) as chat:
            await anext(aiter(chat))
    await eventually(lambda: rig.service.hanging == 0)


@pytest.mark.parametrize("codes", [range(400, 500), range(500, 600)], ids=["4xx", "5xx"])
async def test_every_code_survives(wire: dict[str, Any], codes: range) -> None:
    """Every code from 400 to 599 keeps code, reason, message and metadata."""

    class Failing(Kinds):
        async def echo(self, request: Ping, call: Call) -> Pong:
            raise Error(f"message {request.count}", code=request.count, reason=f"R{request.count}", metadata={"k": "v"})

    async with serve(Failing(), client_timeout=10.0, **wire) as conn:
        for code in codes:
            with pytest.raises(Error) as failure:
                await KindsClient(conn).echo(Ping(count=code))
            error = failure.value
            assert (error.code, error.reason, error.message, error.metadata) == (
                code,
                f"R{code}",
                f"message {code}",
                {"k": "v"},
            )
