"""Our channel, judged by a plain grpc.aio server that knows only bytes, and by sockets that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KINDS_CHAT, KINDS_COLLECT, KINDS_ECHO, KINDS_WATCH, KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from protobuf.wkt import Duration
from roundtrip.service import _running_generators
from unit.transport.grpc.rig import PREFIX, no_task_left, until

from kratos.call import Call, Reply
from kratos.errors import (
    GRPC_NAMES,
    ClientClosed,
    Conflict,
    Error,
    Forbidden,
    GatewayTimeout,
    InternalServer,
    NotFound,
    PreconditionFailed,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
    Unimplemented,
    grpc_code,
)
from kratos.errors import BadRequest as InvalidRequest
from kratos.handler import Handler, Messages
from kratos.metadata import Metadata
from kratos.transport.channel import Channel
from kratos.transport.client import Client
from kratos.transport.grpc import channel as channels
from kratos.transport.grpc.channel import GRPCChannel
from kratos.transport.grpc.failures import connection_error
from kratos.transport.grpc.options import KeepAlive, Limits
from kratos.transport.resolve import Single
from kratos.wire.google.rpc.error_details_pb import BadRequest, ErrorInfo, RetryInfo

Context = Any
Answer = Callable[[Any, Context], Awaitable[Any]]

HANDLERS = {
    "Echo": grpc.unary_unary_rpc_method_handler,
    "Watch": grpc.unary_stream_rpc_method_handler,
    "Collect": grpc.stream_unary_rpc_method_handler,
    "Chat": grpc.stream_stream_rpc_method_handler,
}


class Plain(grpc.GenericRpcHandler):
    """A server of grpc.aio with nothing of ours; the answers to the four methods are set by each test."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.ended = 0
        self.contexts: list[Any] = []
        self.server = grpc.aio.server(handlers=[self])
        self.port = self.server.add_insecure_port("127.0.0.1:0")

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method.removeprefix(PREFIX)
        answer = self.answers.get(method)
        if answer is None:
            return None

        async def noting(request: Any, context: Any) -> Any:
            self.contexts.append(context)
            try:
                return await answer(request, context)
            finally:
                self.ended += 1

        return HANDLERS[method](noting)


class Rig:
    def __init__(self, plain: Plain, channel: GRPCChannel) -> None:
        self.plain = plain
        self.channel = channel
        self.address = channel.peer.address
        self.client = Client(Single(channel))
        self.api = KindsClient(self.client)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    plain = Plain()
    await plain.server.start()
    made = Rig(plain, GRPCChannel(f"127.0.0.1:{plain.port}"))
    yield made
    await made.client.aclose()
    await plain.server.stop(None)


def pong(text: str = "", count: int = 0) -> bytes:
    return Pong(text=text, count=count).to_binary()


async def echo(data: bytes, context: Context) -> bytes:
    return data


async def chat(requests: Any, context: Context) -> None:
    while (data := await context.read()) is not grpc.aio.EOF:
        await context.write(data)


async def watch_once(data: bytes, context: Context) -> None:
    await context.write(data)


async def hang(request: Any, context: Context) -> None:
    await asyncio.Event().wait()


def failing(code: grpc.StatusCode, message: str = "m", *trailers: tuple[str, str | bytes]) -> Answer:
    async def fail(request: Any, context: Context) -> None:
        await context.abort(code, message, trailers)

    return fail


def details(code: int, *messages: Any, message: str = "m") -> tuple[str, bytes]:
    status = status_pb2.Status(code=code, message=message)
    for each in messages:
        status.details.add().Pack(each)
    return "grpc-status-details-bin", status.SerializeToString()


async def call_of(api: KindsClient, method: str) -> None:
    """Makes a call of any kind and takes its end."""
    if method == "Echo":
        await api.echo(Ping(text="a"))
    elif method == "Watch":
        async with api.watch(Ping(text="a")) as replies:
            async for _ in replies:
                pass
    elif method == "Collect":
        async with api.collect() as stream:
            with contextlib.suppress(Error):
                await stream.send(Ping(text="a"))
            await stream.reply()
    else:
        async with api.chat() as both:
            with contextlib.suppress(Error):
                await both.send(Ping(text="a"))
            async for _ in both:
                pass


ALL = pytest.mark.parametrize("method", ["Echo", "Watch", "Collect", "Chat"])


def test_it_is_a_channel() -> None:
    """It is what clients ask for; making one needs no event loop and touches no socket."""
    channel: Channel = GRPCChannel("localhost:1", keepalive=KeepAlive(every=300), limits=Limits(max_message=1))
    assert (channel.kind, channel.peer.address) == ("grpc", "localhost:1")


async def test_four_kinds(rig: Rig) -> None:
    """All kinds answer; requests and replies are the protobuf bytes."""

    async def watch(data: bytes, context: Context) -> None:
        for number in range(3):
            await context.write(pong(Ping.from_binary(data).text, number))

    async def collect(requests: Any, context: Context) -> bytes:
        texts = [Ping.from_binary(data).text async for data in requests]
        return pong(" ".join(texts), len(texts))

    rig.plain.answers = {"Echo": echo, "Watch": watch, "Collect": collect, "Chat": chat}
    async with no_task_left():
        assert await rig.api.echo(Ping(text="a", count=3)) == Pong(text="a", count=3)
        assert await rig.api.echo(Ping()) == Pong()
        async with rig.api.watch(Ping(text="b")) as replies:
            assert [reply.count async for reply in replies] == [0, 1, 2]
        async with rig.api.collect() as stream:
            await stream.send(Ping(text="x"))
            await stream.send(Ping(text="y"))
            assert await stream.reply() == Pong(text="x y", count=2)
        async with rig.api.collect() as stream:
            assert await stream.reply() == Pong()
        async with rig.api.chat() as both:
            for number in range(3):
                await both.send(Ping(count=number))
                assert (await anext(aiter(both))).count == number
            await both.done()
            assert [reply async for reply in both] == []


async def test_metadata_both_ways(rig: Rig) -> None:
    """Request headers go out, text and bytes; reply headers and trailers come back, on success and on failure."""

    async def polite(data: bytes, context: Context) -> bytes:
        await context.send_initial_metadata((("x-first", "1"), ("x-first", "2"), ("x-raw-bin", b"\x00\xff")))
        context.set_trailing_metadata((("x-last", "3"),))
        if data:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no", (("x-last", "4"),))
        return b""

    rig.plain.answers = {"Echo": polite}
    headers = Metadata({"X-Sent": "v", "x-name": "José", "connection": "close", "bad!key": "1"})
    headers.set_binary("x-sent-bin", b"\xff\x00")
    reply = Reply()
    await rig.api.echo(Ping(), headers=headers, reply=reply)
    received = [pair for pair in rig.plain.contexts[0].invocation_metadata() if pair[0].startswith(("x-", "c", "b"))]
    assert received == [("x-sent", "v"), ("x-name", "Jos%C3%A9"), ("x-sent-bin", b"\xff\x00")]
    agent = dict(rig.plain.contexts[0].invocation_metadata())["user-agent"]
    assert agent.startswith("kratos-py/")
    assert reply.headers.values("x-first") == ["1", "2"]
    assert reply.headers.binary("x-raw-bin") == b"\x00\xff"
    assert reply.trailers.get("x-last") == "3"
    with pytest.raises(NotFound):
        await rig.api.echo(Ping(text="fail"), reply=reply)
    assert reply.headers.values("x-first") == ["1", "2"]
    assert reply.trailers.values("x-last") == ["4"]


async def test_headers_of_a_stream_come_first(rig: Rig) -> None:
    """The headers of a streamed reply are there before its first message is read."""

    async def watch(data: bytes, context: Context) -> None:
        await context.send_initial_metadata((("x-first", "1"),))
        await context.write(b"")
        context.set_trailing_metadata((("x-last", "2"),))

    rig.plain.answers = {"Watch": watch}
    reply = Reply()
    async with rig.api.watch(Ping(), reply=reply) as replies:
        await anext(aiter(replies))
        assert reply.headers.get("x-first") == "1"
        assert [message async for message in replies] == []
    assert reply.trailers.get("x-last") == "2"


@ALL
async def test_status_with_details(rig: Rig, method: str) -> None:
    """The first ErrorInfo gives reason and metadata, whatever its place and domain; the class is the generated one."""
    info = error_details_pb2.ErrorInfo(reason="NOPE", domain="elsewhere", metadata={"k": "v"})
    second = error_details_pb2.ErrorInfo(reason="OTHER")
    delay = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=3))
    foreign = duration_pb2.Duration(seconds=1)
    rig.plain.answers = {method: failing(grpc.StatusCode.NOT_FOUND, "m", details(5, delay, info, second, foreign))}
    async with no_task_left():
        with pytest.raises(Nope) as failure:
            await call_of(rig.api, method)
    error = failure.value
    assert (error.code, error.reason, error.message, error.metadata) == (404, "NOPE", "m", {"k": "v"})
    retry, other, packed = error.details
    assert isinstance(retry, RetryInfo)
    assert retry.retry_delay is not None
    assert retry.retry_delay.seconds == 3
    assert isinstance(other, ErrorInfo)
    assert other.reason == "OTHER"
    assert getattr(packed, "type_url", "").endswith("google.protobuf.Duration")


@ALL
async def test_status_of_grpcio_status(rig: Rig, method: str) -> None:
    """What a server says with google's own library arrives with its details, in every kind."""
    broken = error_details_pb2.BadRequest()
    broken.field_violations.add(field="name", description="is empty")
    delay = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=3))
    said = status_pb2.Status(code=3, message="m")
    for detail in (broken, delay):
        said.details.add().Pack(detail)

    async def fail(request: Any, context: Context) -> None:
        status = rpc_status.to_status(said)
        await context.abort(status.code, status.details, status.trailing_metadata)

    rig.plain.answers = {method: fail}
    with pytest.raises(InvalidRequest) as failure:
        await call_of(rig.api, method)
    assert (failure.value.code, failure.value.reason, failure.value.message) == (400, "", "m")
    wrong, retry = failure.value.details
    assert wrong == BadRequest(field_violations=[BadRequest.FieldViolation(field="name", description="is empty")])
    assert retry == RetryInfo(retry_delay=Duration(seconds=3))


@pytest.mark.parametrize(
    ("code", "error", "status"),
    [
        ("CANCELLED", ClientClosed, 499),
        ("UNKNOWN", InternalServer, 500),
        ("INVALID_ARGUMENT", Error, 400),
        ("DEADLINE_EXCEEDED", GatewayTimeout, 504),
        ("NOT_FOUND", NotFound, 404),
        ("ALREADY_EXISTS", Conflict, 409),
        ("PERMISSION_DENIED", Forbidden, 403),
        ("RESOURCE_EXHAUSTED", TooManyRequests, 429),
        ("FAILED_PRECONDITION", PreconditionFailed, 412),
        ("ABORTED", Conflict, 409),
        ("OUT_OF_RANGE", Error, 400),
        ("UNIMPLEMENTED", Unimplemented, 501),
        ("INTERNAL", InternalServer, 500),
        ("UNAVAILABLE", ServiceUnavailable, 503),
        ("DATA_LOSS", InternalServer, 500),
        ("UNAUTHENTICATED", Unauthorized, 401),
    ],
)
async def test_plain_status(rig: Rig, code: str, error: type[Error], status: int) -> None:
    """A status without details is the class of its code, with its message and no reason."""
    rig.plain.answers = dict.fromkeys(HANDLERS, failing(grpc.StatusCode[code], "wörds"))
    for method in HANDLERS:
        with pytest.raises(error) as failure:
            await call_of(rig.api, method)
        assert (failure.value.code, failure.value.reason, failure.value.message) == (status, "", "wörds")
        assert GRPC_NAMES[failure.value.grpc_code] == code
        assert failure.value.metadata == {}
        assert GRPC_NAMES[failure.value.grpc_code] == code


@pytest.mark.parametrize("method", ["Echo", "Collect"])
async def test_no_reply(rig: Rig, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that ends well without its reply is a failure that says so, and no text of an exception."""

    async def silent(requests: Any, context: Context) -> None:
        return

    monkeypatch.setitem(HANDLERS, method, grpc.stream_stream_rpc_method_handler)
    rig.plain.answers = {method: silent}
    with pytest.raises(Unimplemented, match="without its reply") as failure:
        await call_of(rig.api, method)
    assert failure.value.reason == "NO_REPLY"


@pytest.mark.parametrize(
    ("said", "expected"),
    [("418", 418), ("400", 400), ("404", 400), ("500", 400), ("99", 400), ("4x8", 400), ("٤١٨", 400), ("1000", 400)],
)
async def test_exact_code(rig: Rig, said: str, expected: int) -> None:
    """The exact code counts only if it belongs to the status."""
    trailer = ("x-kratos-code", said.encode("ascii", "replace").decode())
    rig.plain.answers = {"Echo": failing(grpc.StatusCode.INVALID_ARGUMENT, "m", trailer)}
    with pytest.raises(Error) as failure:
        await rig.api.echo(Ping())
    assert failure.value.code == expected


@pytest.mark.parametrize(
    "value",
    [b"\xff\xff\xff", b"\x12\x02\xff\xff", details(7, error_details_pb2.ErrorInfo(reason="NOPE"))[1], b""],
    ids=["noise", "text", "another code", "empty"],
)
async def test_unusable_details(rig: Rig, value: bytes) -> None:
    """Details that are unreadable or of another status are as if they were not there."""
    rig.plain.answers = {"Echo": failing(grpc.StatusCode.NOT_FOUND, "m", ("grpc-status-details-bin", value))}
    with pytest.raises(NotFound) as failure:
        await rig.api.echo(Ping())
    assert (failure.value.reason, failure.value.message) == ("", "m")


async def test_unreadable_detail(rig: Rig) -> None:
    """One detail that is unreadable stays packed, and does no harm to the others."""
    broken = status_pb2.Status(code=5, message="m")
    broken.details.append(any_pb2.Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff"))
    broken.details.add().Pack(error_details_pb2.ErrorInfo(reason="NOPE"))
    trailer = ("grpc-status-details-bin", broken.SerializeToString())
    rig.plain.answers = {"Echo": failing(grpc.StatusCode.NOT_FOUND, "m", trailer)}
    with pytest.raises(Nope) as failure:
        await rig.api.echo(Ping())
    assert len(failure.value.details) == 1


async def test_replies_before_a_failure_arrive(rig: Rig) -> None:
    """What was sent before the failure is delivered before it, however slowly it is read."""

    async def watch(data: bytes, context: Context) -> None:
        for number in range(20):
            await context.write(pong("x" * 1000, number))
        await context.abort(grpc.StatusCode.NOT_FOUND, "m")

    rig.plain.answers = {"Watch": watch}
    got = []
    with pytest.raises(NotFound):
        async with rig.api.watch(Ping()) as replies:
            async for reply in replies:
                await asyncio.sleep(0.002)
                got.append(reply.count)
    assert got == list(range(20))


async def test_failure_while_sending(rig: Rig) -> None:
    """A server that ends the call while we send has its own status told, not one that grpcio makes up."""
    rig.plain.answers = dict.fromkeys(("Collect", "Chat"), failing(grpc.StatusCode.NOT_FOUND, "mine"))
    for _ in range(30):
        for open_ in (rig.api.collect, rig.api.chat):
            with pytest.raises(NotFound, match="mine"):
                async with open_() as stream:
                    while True:
                        await stream.send(Ping(text="x" * 1000))


async def test_sending_by_what_is_public(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where grpcio has not the private part that we send by, we send by write(); a call that is over is no failure."""
    monkeypatch.setattr(channels, "INNER", "_gone")
    rig.plain.answers = {"Chat": chat, "Watch": watch_once}
    async with no_task_left():
        async with rig.api.chat() as both:
            await both.send(Ping(text="a", count=1))
            assert await anext(aiter(both)) == Pong(text="a", count=1)
        async with rig.api.watch(Ping(text="b"), reply=Reply()) as replies:
            assert [reply.text async for reply in replies] == ["b"]
        rig.plain.answers = {"Chat": failing(grpc.StatusCode.NOT_FOUND)}
        with pytest.raises(Error):  # of which kind, grpcio may have lost
            async with rig.api.chat() as both:
                for _ in range(1000):
                    await both.send(Ping())


async def test_answer_before_all_is_sent(rig: Rig) -> None:
    """A server may answer while requests are still to come."""

    async def collect(requests: Any, context: Context) -> bytes:
        await context.read()
        return pong("enough")

    rig.plain.answers = {"Collect": collect}
    async with no_task_left(), rig.api.collect() as stream:
        with pytest.raises(ClientClosed):
            while True:
                await stream.send(Ping())
        assert await stream.reply() == Pong(text="enough")


async def test_unreadable_reply(rig: Rig) -> None:
    """A reply that is no message is the server's fault, in every kind."""

    async def once(data: bytes, context: Context) -> None:
        await context.write(b"\xff\xff")
        await asyncio.Event().wait()

    async def garbage(request: Any, context: Context) -> bytes:
        return b"\xff\xff"

    rig.plain.answers = {"Echo": garbage, "Collect": garbage, "Watch": once, "Chat": once}
    async with no_task_left():
        for method in HANDLERS:
            with pytest.raises(InternalServer, match="unreadable") as failure:
                await call_of(rig.api, method)
            assert failure.value.reason == "CODEC"
        await until(lambda: rig.plain.ended == 4)


async def test_oversized_reply(rig: Rig) -> None:
    """A reply over the limit is RESOURCE_EXHAUSTED."""
    rig.plain.answers = {"Echo": echo}
    client = Client(Single(GRPCChannel(rig.address, limits=Limits(max_message=1000))))
    async with client:
        with pytest.raises(TooManyRequests, match="larger than max"):
            await KindsClient(client).echo(Ping(text="x" * 2000))


@pytest.mark.parametrize("wrong", ["text", 5, Pong(text="\ud800")], ids=repr)
async def test_unencodable_request(rig: Rig, wrong: Any) -> None:
    """A request that cannot be written raises where it was made; nothing hangs on either side."""
    rig.plain.answers = {"Echo": echo, "Chat": chat, "Collect": hang}
    expected = (TypeError, ValueError)
    with pytest.raises(expected):
        await rig.api.echo(wrong)
    with pytest.raises(expected):
        async with rig.api.watch(wrong) as replies:
            await anext(aiter(replies))
    for open_ in (rig.api.chat, rig.api.collect):
        with pytest.raises(expected):
            async with open_() as stream:
                await stream.send(wrong)
                while True:
                    await stream.send(Ping())
                    await asyncio.sleep(0)
    await until(lambda: rig.plain.ended == len(rig.plain.contexts))


async def test_failure_of_what_feeds_a_stream(rig: Rig) -> None:
    """An error that middleware raises for one request message ends the call with that error, and on the server."""

    def refuse(message: Ping) -> Ping:
        if message.text == "bad":
            raise Forbidden("not this one", reason="BAD")
        if message.text == "cancelled":
            raise asyncio.CancelledError
        return message

    async def checking(request: Any, call: Call, next: Handler) -> Any:
        assert isinstance(request, Messages)
        return await next(request.map(refuse), call)

    rig.plain.answers = {"Collect": chat, "Chat": chat}
    api = KindsClient(Client(Single(rig.channel), middleware=[checking]))
    async with no_task_left():
        for open_ in (api.collect, api.chat):
            for text, reason in (("bad", "BAD"), ("cancelled", "CANCELLED")):
                with pytest.raises(Error) as failure:
                    async with open_() as stream:
                        await stream.send(Ping(text="good"))
                        await stream.send(Ping(text=text))
                        await (stream.reply() if open_ == api.collect else anext(aiter(stream)))
                        await anext(aiter(stream))
                assert failure.value.reason == reason
        await until(lambda: rig.plain.ended == 4)


@ALL
async def test_cancelling_cancels_on_the_wire(rig: Rig, method: str) -> None:
    """Cancelling the caller ends the handler on the server; no task and no generator is left."""
    rig.plain.answers = {method: hang}
    async with no_task_left():
        task = asyncio.create_task(call_of(rig.api, method))
        await until(lambda: rig.plain.contexts)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: rig.plain.ended == 1)


async def test_leaving_a_stream_early(rig: Rig) -> None:
    """A caller who leaves the block cancels the call on the server; no task and no generator is left."""

    async def endless(request: Any, context: Context) -> None:
        while True:
            await context.write(pong("x" * 100))

    rig.plain.answers = {"Watch": endless, "Chat": endless, "Collect": hang}
    with nothing_left_but_grpcio():
        async with no_task_left():
            async with rig.api.watch(Ping()) as replies:
                async for _ in replies:
                    break
            async with rig.api.chat() as both:
                await both.send(Ping())
                await anext(aiter(both))
            async with rig.api.collect() as stream:
                await stream.send(Ping())
            async with rig.api.chat():
                pass
            await until(lambda: 2 <= len(rig.plain.contexts) == rig.plain.ended)


@contextlib.contextmanager
def nothing_left_but_grpcio() -> Any:
    """Asserts that no async generator is left; tasks of grpcio's server come and go."""
    before = _running_generators()
    yield
    assert _running_generators() == before


async def test_slow_reader_holds_the_server_back(rig: Rig) -> None:
    """Nothing is read ahead of the caller but what flow control lets through."""
    sent = 0

    async def endless(request: Any, context: Context) -> None:
        nonlocal sent
        while True:
            await context.write(pong("x" * 64_000))
            sent += 1

    rig.plain.answers = {"Watch": endless}
    async with rig.api.watch(Ping()) as replies:
        await anext(aiter(replies))
        await asyncio.sleep(0.3)
        assert sent < 300


async def test_slow_server_holds_the_sender_back(rig: Rig) -> None:
    """A server that does not read stops us from sending."""
    rig.plain.answers = {"Collect": hang}
    sent = 0
    async with rig.api.collect() as stream:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while True:
                    await stream.send(Ping(text="x" * 64_000))
                    sent += 1
    assert sent < 300


async def test_deadline_goes_out(rig: Rig) -> None:
    """What is left of the call's time is told to the server; without a limit nothing is."""
    remaining: list[float | None] = []

    async def note(request: bytes, context: Context) -> bytes:
        remaining.append(context.time_remaining())
        return b""

    rig.plain.answers = {"Echo": note}
    await rig.api.echo(Ping(), timeout=30)
    await KindsClient(Client(Single(rig.channel), timeout=None)).echo(Ping())
    assert remaining[0] is not None
    assert 25 < remaining[0] < 31  # grpcio rounds up
    assert remaining[1] is None


@ALL
async def test_deadline_of_the_client(rig: Rig, method: str) -> None:
    """When time is up the caller is told whose limit it was, whoever of the two sides noticed first."""
    rig.plain.answers = {method: hang}
    channel = rig.channel
    for shorten in (0.1, 0.0):
        call = new_call(method)
        call.shorten(shorten, "client")
        with pytest.raises(GatewayTimeout) as failure:  # grpcio notices: there is no watch on this call
            await exchange(channel, call)
        assert (failure.value.reason, failure.value.metadata) == ("DEADLINE_EXCEEDED", {"limit": "client"})
    await until(lambda: rig.plain.ended == len(rig.plain.contexts))


def new_call(method: str) -> Call:
    operation = {"Echo": KINDS_ECHO, "Watch": KINDS_WATCH, "Collect": KINDS_COLLECT, "Chat": KINDS_CHAT}[method]

    async def sink(_: Any) -> None: ...

    return Call(operation, kind="grpc", side="client", headers=Metadata(), sink=sink)


async def exchange(channel: GRPCChannel, call: Call) -> Any:
    async def nothing() -> AsyncIterator[Ping]:
        await asyncio.Event().wait()
        yield Ping()

    if call.operation.client_streams:
        source = nothing()
        try:
            return await channel.stream(Messages(source), call)
        finally:
            await source.aclose()  # type: ignore[attr-defined]
    return await (channel.stream if call.operation.server_streams else channel.unary)(Ping(), call)


async def test_deadline_of_a_foreign_server(rig: Rig) -> None:
    """DEADLINE_EXCEEDED that a server says, while we have time left, is its own."""
    rig.plain.answers = {"Echo": failing(grpc.StatusCode.DEADLINE_EXCEEDED, "theirs")}
    with pytest.raises(GatewayTimeout) as failure:
        await rig.api.echo(Ping(), timeout=30)
    assert (failure.value.reason, failure.value.message, failure.value.metadata) == ("", "theirs", {})


@ALL
async def test_nobody_listens(method: str) -> None:
    """An address where nobody listens fails at once, by name."""
    async with Client(Single(GRPCChannel("127.0.0.1:1"))) as client:
        with pytest.raises(ServiceUnavailable, match=r"cannot reach 127\.0\.0\.1:1") as failure:
            await call_of(KindsClient(client), method)
        assert failure.value.reason == "CONNECTION_FAILED"


async def test_no_such_host() -> None:
    """So does a name that does not exist."""
    async with Client(Single(GRPCChannel("no-such-host.invalid:1"))) as client:
        with pytest.raises(ServiceUnavailable, match="cannot reach no-such-host") as failure:
            await KindsClient(client).echo(Ping())
        assert failure.value.reason in ("CONNECTION_FAILED", "DEADLINE_EXCEEDED")


@ALL
async def test_connection_lost(method: str) -> None:
    """A connection that ends under a call is told apart from one that never was."""

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        await asyncio.sleep(0.1)
        writer.close()

    server = await asyncio.start_server(drop, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with Client(Single(GRPCChannel(address))) as client:
        with pytest.raises(ServiceUnavailable, match=f"the connection to {address} was lost") as failure:
            await call_of(KindsClient(client), method)
        assert failure.value.reason == "CONNECTION_LOST"
    server.close()


@pytest.mark.parametrize("seconds", [float("inf"), 1e10, 1e12, 99_999_999.5])
async def test_limits_that_nobody_lives_to_see(rig: Rig, seconds: float) -> None:
    """A limit longer than gRPC can write is its longest, and one that is for ever is none."""
    rig.plain.answers = {"Echo": echo}
    assert await rig.api.echo(Ping(text="a"), timeout=seconds) == Pong(text="a")
    left = rig.plain.contexts[0].time_remaining()
    assert left is None if seconds == float("inf") else left > 9e7
    usual = Client(rig.client._channels, timeout=seconds)
    assert await KindsClient(usual).echo(Ping(text="b")) == Pong(text="b")


async def test_a_limit_that_is_no_number(rig: Rig) -> None:
    """It is refused, with what to do instead."""
    with pytest.raises(ValueError, match="leave it out"):
        await rig.api.echo(Ping(), timeout=float("nan"))


@pytest.mark.parametrize(
    "words",
    [
        "Socket closed",
        "Stream removed (Socket closed (GOAWAY received; Error code: 0; Debug Text: ))",
        "Stream removed (RST_STREAM (Received RST_STREAM with error code 7))",
        "GOAWAY received; Error code: 11; Debug Text: too_many_pings",
        "recvmsg:Connection reset by peer (104)",
        "sendmsg: Broken pipe (32)",
        "keepalive timeout",
        "ping timeout",
        "max connection age",
        "Too many pings",
    ],
)
def test_words_for_a_lost_connection(words: str) -> None:
    """By its words alone does grpcio tell that a connection was lost."""
    lost = connection_error(words, "x:1", tls=False)
    assert lost is not None
    assert (lost.code, lost.reason) == (503, "CONNECTION_LOST")


@pytest.mark.parametrize(
    "words",
    [
        "upstream keepalive probe failed",
        "Socket closed by the keeper",
        "no GOAWAY received",
        "the Stream removed itself",
    ],
)
async def test_words_of_a_peer(rig: Rig, words: str) -> None:
    """A peer that is unavailable by its own account has not been lost, though it uses words of grpcio's."""
    rig.plain.answers = {"Echo": failing(grpc.StatusCode.UNAVAILABLE, words)}
    with pytest.raises(ServiceUnavailable) as failure:
        await rig.api.echo(Ping())
    assert (failure.value.message, failure.value.reason) == (words, "")


async def test_wait_for_ready(rig: Rig) -> None:
    """A caller may wait for a server that is not there yet."""
    plain = Plain()
    plain.answers = {"Echo": echo}
    with contextlib.closing(await reserve()) as sock:
        port = sock.getsockname()[1]
    async with Client(Single(GRPCChannel(f"127.0.0.1:{port}"))) as client:
        api = KindsClient(client)
        with pytest.raises(ServiceUnavailable):
            await api.echo(Ping())
        task = asyncio.create_task(api.echo(Ping(text="a"), timeout=10, wait_for_ready=True))
        await asyncio.sleep(0.3)
        assert not task.done()
        plain.server.add_insecure_port(f"127.0.0.1:{port}")
        await plain.server.start()
        assert (await task).text == "a"
    await plain.server.stop(None)


async def reserve() -> Any:
    import socket

    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


@ALL
async def test_aclose_fails_calls_under_way(rig: Rig, method: str) -> None:
    """Calls under way when the channel is closed fail with an error, not with a cancellation; so do later ones."""
    rig.plain.answers = {method: hang}
    async with no_task_left():
        task = asyncio.create_task(call_of(rig.api, method))
        await until(lambda: rig.plain.contexts)
        await rig.channel.aclose()
        with pytest.raises(ServiceUnavailable, match="is closed") as failure:
            await task
        assert failure.value.reason == "CONNECTION_CLOSED"
        await until(lambda: rig.plain.ended == 1)
    await rig.channel.aclose()
    with pytest.raises(ServiceUnavailable, match="is closed"):
        await call_of(rig.api, method)


async def test_server_comes_back(rig: Rig) -> None:
    """A channel outlives its server and finds the next one soon."""
    rig.plain.answers = {"Echo": echo}
    await rig.api.echo(Ping())
    await rig.plain.server.stop(None)
    with pytest.raises(ServiceUnavailable):
        await rig.api.echo(Ping())
    second = Plain()
    second.answers = {"Echo": echo}
    second.server.add_insecure_port(rig.address)
    await second.server.start()
    assert (await rig.api.echo(Ping(text="a"), timeout=5, wait_for_ready=True)).text == "a"
    await second.server.stop(None)


def test_every_code_has_a_row() -> None:
    """The table of plain statuses above is the whole of gRPC."""
    assert {code.value[0] for code in grpc.StatusCode} == set(range(17))
    assert {grpc_code(status) for status in range(400, 600)} <= set(range(17))
