"""Our server, judged by plain grpc.aio stubs that know only bytes, and by raw frames."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from protobuf.wkt import Duration
from roundtrip.service import Counting, Kinds
from unit.transport.grpc.rig import OPENING, PREFIX, frame, headers, no_task_left, raw, until

from kratos.call import AppInfo, Call
from kratos.errors import GRPC_NAMES, ClientClosed, Error, NotFound, restore
from kratos.handler import Handler, Messages
from kratos.testing import FakeClock
from kratos.transport.grpc import front, guard, handlers
from kratos.transport.grpc.headers import peer_address
from kratos.transport.grpc.options import KeepAlive, Limits, server_options
from kratos.transport.grpc.server import GRPCServer
from kratos.wire.google.rpc.error_details_pb import BadRequest, DebugInfo, RetryInfo

SECONDS = 30.0
"""How long anything may take that takes a moment."""


def ping(text: str = "", count: int = 0) -> bytes:
    return Ping(text=text, count=count).to_binary()


def pong(data: bytes) -> tuple[str, int]:
    reply = Pong.from_binary(data)
    return reply.text, reply.count


async def failure_of(call: Any) -> grpc.aio.AioRpcError:
    """Returns what a call fails with, whatever its kind."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        if hasattr(call, "__aiter__"):
            async for _ in call:
                pass
        else:
            await call
    return failure.value


def facts(failure: grpc.aio.AioRpcError) -> tuple[str, str, str, str]:
    """Returns status, message, exact code and reason, as google's classes read them."""
    trailers = dict(failure.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert (status.code, status.message) == (failure.code().value[0], failure.details())
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return failure.code().name, failure.details() or "", trailers["x-kratos-code"], info.reason


async def start(served: Any, method: str, text: str = "") -> Any:
    """Opens a call of any kind with one request of ``text``; where requests are streamed and there is none, with none.

    (grpcio's client reports INTERNAL if the server ends the call while it writes.)
    """
    stub = served.stub(method)
    if method in ("Echo", "Watch"):
        return stub(ping(text, 2))
    call = stub()
    if text:
        await call.write(ping(text))
    return call


ALL = pytest.mark.parametrize("method", ["Echo", "Watch", "Collect", "Chat"])


async def test_four_kinds(serve: Any) -> None:
    """Every kind answers, and middleware counts each call and message once."""
    counting = Counting()
    served = await serve(middleware=[counting])
    assert pong(await served.stub("Echo")(ping("a", 3))) == ("a", 3)
    assert [pong(data) async for data in served.stub("Watch")(ping("b", 3))] == [("b", 0), ("b", 1), ("b", 2)]

    collect = served.stub("Collect")()
    for text in ("x", "y"):
        await collect.write(ping(text))
    await collect.done_writing()
    assert pong(await collect) == ("x y", 2)

    chat = served.stub("Chat")()
    for number in range(3):
        await chat.write(ping("c", number))
        assert pong(await chat.read()) == ("c", number)
    await chat.done_writing()
    assert await chat.read() is grpc.aio.EOF
    await until(lambda: counting.seen["close"] == 4)
    assert counting.seen == {"open": 4, "close": 4, "ok": 4, "requests": 7, "replies": 8}
    assert {(call.kind, call.side) for call in served.service.calls} == {("grpc", "server")}


async def test_empty_messages_and_streams(serve: Any) -> None:
    """A message of no bytes is a message; a stream of no messages is a stream."""
    served = await serve()
    assert await served.stub("Echo")(b"") == b""
    assert [data async for data in served.stub("Watch")(ping("", 0))] == []
    collect = served.stub("Collect")()
    await collect.done_writing()
    assert pong(await collect) == ("", 0)


@ALL
async def test_error_of_every_kind(serve: Any, method: str) -> None:
    """An error is a status with one ErrorInfo and the exact code in a trailer."""
    served = await serve()
    assert facts(await failure_of(await start(served, method, "nope"))) == ("NOT_FOUND", "not here", "404", "NOPE")
    assert facts(await failure_of(await start(served, method, "odd"))) == ("INVALID_ARGUMENT", "odd", "422", "ODD_CODE")


@ALL
async def test_crash_is_concealed(serve: Any, method: str, caplog: pytest.LogCaptureFixture) -> None:
    """Exception text reaches nobody; the log has it under the id that the client gets."""
    served = await serve()
    failure = await failure_of(await start(served, method, "crash"))
    assert facts(failure) == ("INTERNAL", "internal error", "500", "UNKNOWN")
    assert "secret" not in repr(failure)
    assert "secret-db-password" in caplog.text


async def test_replies_before_a_failure_arrive(serve: Any) -> None:
    """What was streamed before the failure is delivered before it."""
    served = await serve()
    call = served.stub("Watch")(ping("nope", 3))
    got = [pong(await call.read())[1] for _ in range(3)]
    assert got == [0, 1, 2]
    assert (await failure_of(call_reading(call))).code() is grpc.StatusCode.NOT_FOUND


async def call_reading(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


class Wrong(Kinds):
    """Answers with what it must not."""

    def __init__(self, reply: Any) -> None:
        super().__init__()
        self.reply = reply

    async def echo(self, request: Ping, call: Call) -> Any:
        return self.reply

    async def watch(self, request: Ping, call: Call) -> AsyncIterator[Any]:
        yield self.reply

    async def collect(self, requests: Messages[Ping], call: Call) -> Any:
        return self.reply

    async def chat(self, requests: Messages[Ping], call: Call) -> AsyncIterator[Any]:
        yield self.reply


@ALL
@pytest.mark.parametrize("reply", [None, "text", Ping(text="other"), Pong(text="\ud800")], ids=repr)
async def test_wrong_reply_is_concealed(serve: Any, method: str, reply: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A reply that is no message, another message or not encodable is a 500 with an error id."""
    served = await serve(Wrong(reply))
    failure = await failure_of(await start(served, method))
    assert facts(failure) == ("INTERNAL", "internal error", "500", "UNKNOWN")
    assert caplog.text.count("error id") == 1


async def test_unencodable_error(serve: Any) -> None:
    """An error with what no status can hold still arrives, as well as it can."""

    async def failing(request: Any, call: Call, next: Handler) -> Any:
        raise NotFound("b\udc80d", reason="R", metadata={"number": 5, "s": "\udc80"}, details=["not a message"])  # type: ignore[dict-item]

    served = await serve(middleware=[failing])
    assert facts(await failure_of(served.stub("Echo")(b""))) == ("NOT_FOUND", "b?d", "404", "R")

    class Broken(NotFound):
        @property
        def grpc_code(self) -> int:
            raise ValueError("secret")

    async def broken(request: Any, call: Call, next: Handler) -> Any:
        raise Broken("x")

    failure = await failure_of((await serve(middleware=[broken])).stub("Echo")(b""))
    assert facts(failure)[0] == "INTERNAL"


async def test_large_error_still_arrives(serve: Any) -> None:
    """An error that would break the limit for trailers loses its facts, not its code and reason."""

    async def failing(request: Any, call: Call, next: Handler) -> Any:
        raise NotFound("m" * 5000, reason="R", metadata={"k": "v" * 50_000})

    served = await serve(middleware=[failing])
    status, message, code, reason = facts(await failure_of(served.stub("Echo")(b"")))
    assert (status, code, reason) == ("NOT_FOUND", "404", "R")
    assert message == "m" * 1023 + "…"


async def test_unreadable_requests(serve: Any) -> None:
    """Bytes that are no message are INVALID_ARGUMENT, seen by middleware and never by the service."""
    counting = Counting()
    served = await serve(middleware=[counting])
    for call in (served.stub("Echo")(b"\xff\xff"), served.stub("Watch")(b"\xff\xff")):
        assert facts(await failure_of(call))[::3] == ("INVALID_ARGUMENT", "CODEC")
    assert served.service.calls == []
    for method in ("Collect", "Chat"):
        call = served.stub(method)()
        await call.write(ping("fine"))
        await call.write(b"\xff\xff")
        assert facts(await failure_of(call))[::3] == ("INVALID_ARGUMENT", "CODEC")
    await until(lambda: counting.seen["close"] == 4)
    assert counting.seen["BadRequest"] == 4


async def test_unknown_methods(serve: Any, engine: str) -> None:
    """A method or service that nobody serves is UNIMPLEMENTED, whatever its kind."""
    channel = (await serve()).plain()
    for name in (PREFIX + "Nope", "/other.Service/Echo", "nonsense"):
        if (engine, name) == ("native", "nonsense"):
            # A path without a slash is malformed in HTTP/2; this front resets such a stream as a broken one.
            assert (await failure_of(channel.unary_unary(name)(b""))).code() is grpc.StatusCode.INTERNAL
            continue
        assert (await failure_of(channel.unary_unary(name)(b"x" * 100_000))).code() is grpc.StatusCode.UNIMPLEMENTED
        assert facts(await failure_of(channel.unary_stream(name)(b"")))[::3] == ("UNIMPLEMENTED", "UNIMPLEMENTED")


async def test_metadata_both_ways(serve: Any, engine: str) -> None:
    """Text and bytes arrive; headers precede the first message, trailers follow the last, errors have both."""
    expected = [("x-first", "1"), ("x-first", "2"), ("x-token-bin", b"\x00\xff")]
    seen: list[Call] = []

    async def polite(request: Any, call: Call, next: Handler) -> Any:
        seen.append(call)
        call.reply.headers.add("x-first", "1")
        call.reply.headers.add("x-first", "2")
        call.reply.headers.set_binary("x-token-bin", b"\x00\xff")
        call.reply.trailers.set("x-last", "3")
        return await next(request, call)

    served = await serve(middleware=[polite])
    sent = (("x-a", "1"), ("x-a", "2"), ("x-b-bin", b"\x00\xff"))
    for call in (
        served.stub("Echo")(b"", metadata=sent),
        served.stub("Watch")(ping("a", 1), metadata=sent),
        served.stub("Echo")(ping("nope"), metadata=sent),
        # As a client, grpc.aio may lose headers that come together with the status, as the native engine sends them
        # where there is no message between (seen; grpcio's sync client never did).
        served.stub("Watch")(ping("nope", 0 if engine == "grpcio" else 1), metadata=sent),
    ):
        if hasattr(call, "read"):
            await asyncio.gather(call.read(), return_exceptions=True)  # the status comes after the messages
        initial, trailing = list(await call.initial_metadata()), list(await call.trailing_metadata())
        if engine == "native" and not hasattr(call, "read") and await call.code() is not grpc.StatusCode.OK:
            # This front sends no headers before the failure of a unary call: they come first among the trailers.
            assert (initial, trailing[:3]) == ([], expected)
        else:
            assert initial == expected
        assert dict(trailing)["x-last"] == "3"
    assert [call.headers.values("x-a") for call in seen] == [["1", "2"]] * 4
    assert [call.headers.binary("x-b-bin") for call in seen] == [b"\x00\xff"] * 4


async def test_headers_that_cannot_be_sent(serve: Any, engine: str, caplog: pytest.LogCaptureFixture) -> None:
    """What gRPC cannot carry never fails a call: values are percent-encoded, the rest is left out."""

    async def impolite(request: Any, call: Call, next: Handler) -> Any:
        for metadata in (call.reply.headers, call.reply.trailers):
            metadata.set("x-name", "José 100%")
            metadata.set("x-plain", "100%")
            metadata.set("x-control", "a\x07b")
            metadata.set("bad!key", "1")
            metadata.set("x-bad-bin", "!!!")
            metadata.set("grpc-status", "0")
            metadata.set("grpc-status-details-bin", "AAAA")
            metadata.set("x-kratos-code", "499")
            metadata.set("content-type", "text/html")
            metadata.set("connection", "close")
            metadata.set(":path", "/")
        return await next(request, call)

    served = await serve(middleware=[impolite])
    expected = {"x-name": "Jos%C3%A9 100%25", "x-plain": "100%", "x-control": "a%07b"}
    for text in ("a", "nope"):
        call = served.stub("Echo")(ping(text))
        # With the native engine, headers before the failure of a unary call come among the trailers.
        assert dict(await call.initial_metadata()) == ({} if (engine, text) == ("native", "nope") else expected)
        trailers = dict(await call.trailing_metadata())
        assert {key: trailers[key] for key in expected} == expected
        assert trailers.get("x-kratos-code") == (None if text == "a" else "404")
    assert "'bad!key' is not sent" in caplog.text
    assert "'x-bad-bin' is not sent" in caplog.text


async def test_deadline_of_the_client(serve: Any) -> None:
    """The client's ``grpc-timeout`` is the deadline of every kind, and ends the handler."""
    counting = Counting()
    served = await serve(middleware=[counting], timeout=None)
    for number, method in enumerate(("Echo", "Watch", "Collect", "Chat"), 1):
        stub = served.stub(method)
        call = stub(ping("hang"), timeout=0.2) if method in ("Echo", "Watch") else stub(timeout=0.2)
        assert (await failure_of(call)).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await until(lambda number=number: counting.seen["close"] == number)
    assert {call.limit for call in served.service.calls} == {"client"}


async def test_deadline_of_the_server(serve: Any) -> None:
    """The server's limit ends unary calls, says whose it was, and leaves streams alone."""
    served = await serve(timeout=0.2)
    failure = await failure_of(served.stub("Echo")(ping("hang"), timeout=30))
    assert facts(failure)[::2] == ("DEADLINE_EXCEEDED", "504")
    info = error_details_pb2.ErrorInfo()
    trailers = dict(failure.trailing_metadata() or ())
    status_pb2.Status.FromString(trailers["grpc-status-details-bin"]).details[0].Unpack(info)
    assert dict(info.metadata) == {"limit": "server"}
    chat = served.stub("Chat")()
    await chat.write(ping("a"))
    await asyncio.sleep(0.4)
    assert pong(await chat.read()) == ("a", 0)
    await chat.write(ping("b"))
    assert pong(await chat.read()) == ("b", 0)
    chat.cancel()


@ALL
@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_client_leaves(serve: Any, method: str, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """A client that cancels, or is gone with its connection, cancels the handler; nothing is logged, nothing left."""
    counting = Counting()
    served = await serve(middleware=[counting])
    async with no_task_left():
        channel = served.plain()
        make = {"Echo": "unary_unary", "Watch": "unary_stream", "Collect": "stream_unary", "Chat": "stream_stream"}
        stub = getattr(channel, make[method])(PREFIX + method)
        call = stub(ping("hang")) if method in ("Echo", "Watch") else stub()
        if method in ("Collect", "Chat"):
            await call.write(ping("hang"))
        await until(lambda: served.service.calls)
        await asyncio.sleep(0.05)
        if how == "cancel":
            call.cancel()
        else:
            await channel.close()
        left = time.monotonic()
        await until(lambda: counting.seen["close"])
        assert time.monotonic() - left < 2
    assert counting.seen["cancelled"] == 1
    assert "Traceback" not in caplog.text
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("method", ["Collect", "Chat"])
async def test_client_leaves_while_sending(serve: Any, method: str) -> None:
    """A stream that breaks off is never taken for one that has ended."""
    counting = Counting()
    served = await serve(middleware=[counting])
    channel = served.plain()
    for _ in range(20):
        call = getattr(channel, "stream_unary" if method == "Collect" else "stream_stream")(PREFIX + method)()
        await call.write(ping("a"))
        seen = counting.seen["requests"]
        await until(lambda seen=seen: counting.seen["requests"] > seen or counting.seen["requests"] >= 1)
        call.cancel()
    await until(lambda: counting.seen["close"] == counting.seen["open"])
    assert counting.seen["ok"] == 0
    assert counting.seen["cancelled"] == counting.seen["open"]


async def test_client_leaves_while_being_sent_to(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A stream of replies that nobody takes any more is cancelled where it is being written."""
    counting = Counting()
    served = await serve(middleware=[counting])
    call = served.stub("Watch")(ping("x" * 1000, 1_000_000))
    for _ in range(10):
        await call.read()
    call.cancel()
    await until(lambda: counting.seen["close"])
    assert counting.seen["cancelled"] == 1
    assert served.service.closed == 1
    assert "Traceback" not in caplog.text


async def test_slow_reader_holds_the_server_back(serve: Any) -> None:
    """The server runs as far ahead as the flow control window, and no further."""
    counting = Counting()
    served = await serve(middleware=[counting])
    # Without the probe, which lets a client guess a window of its own, now and then a large one.
    call = served.stub("Watch", grpc__http2__bdp_probe=0)(ping("x" * 64_000, 100_000))
    await call.read()
    await asyncio.sleep(0.5)
    ahead = counting.seen["replies"]
    assert ahead < 300, "messages of 64 kB"
    await asyncio.sleep(0.2)
    assert counting.seen["replies"] <= ahead + 20
    call.cancel()
    await until(lambda: counting.seen["close"])


async def test_oversized_messages(serve: Any) -> None:
    """A request over the limit is RESOURCE_EXHAUSTED; one below it is not."""
    served = await serve(limits=Limits(max_message=10_000))
    assert pong(await served.stub("Echo")(ping("x" * 9_000)))[0] == "x" * 9_000
    for method in ("Echo", "Watch", "Collect", "Chat"):
        stub = served.stub(method)
        call = stub(ping("x" * 20_000)) if method in ("Echo", "Watch") else stub(iter([ping("x" * 20_000)]))
        assert (await failure_of(call)).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(served.service.calls) <= 3  # the handlers of streams have begun; the unary one has not
    assert pong(await served.stub("Echo")(ping("fine"))) == ("fine", 0)


async def test_oversized_metadata(serve: Any, engine: str) -> None:
    """Headers over the limit are RESOURCE_EXHAUSTED."""
    served = await serve(limits=Limits(max_metadata=4096))
    failure = await failure_of(served.stub("Echo")(b"", metadata=(("x-a", "a" * 8000),)))
    # The native engine refuses them below gRPC, by HTTP's 431, which clients of gRPC have no code for.
    expected = {"grpcio": grpc.StatusCode.RESOURCE_EXHAUSTED, "native": grpc.StatusCode.UNKNOWN}
    assert failure.code() is expected[engine]
    assert served.service.calls == []
    assert pong(await served.stub("Echo")(ping("a"), metadata=(("x-a", "a" * 2000),))) == ("a", 0)


async def test_streams_of_a_connection_are_limited(serve: Any) -> None:
    """A connection has so many calls under way; further ones wait their turn."""
    served = await serve(limits=Limits(max_streams=2), timeout=None)
    stub = served.stub("Echo")
    calls = [stub(ping("hang")) for _ in range(4)]
    await until(lambda: len(served.service.calls) == 2)
    await asyncio.sleep(0.1)
    assert len(served.service.calls) == 2
    for call in calls:
        call.cancel()


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x00" * 100,
        OPENING + b"\xff" * 200,
        OPENING + frame(1, 4, 1, b"\xff\xff\xff"),
        OPENING + frame(1, 4, 1, headers(PREFIX.encode() + b"Echo")) + frame(0, 1, 1, b"\x00\x00\x00\x00\x05a"),
        OPENING + frame(1, 4, 1, headers(PREFIX.encode() + b"Echo")) + frame(0, 1, 1, b"\x07\x00\x00\x00\x00"),
        OPENING + frame(1, 4, 1, headers(PREFIX.encode() + b"Echo")) + frame(0, 0, 1, b"\x00\x00\x00"),
        OPENING + frame(1, 5, 1, headers(PREFIX.encode() + b"Chat")),
        OPENING + frame(1, 5, 1, headers(b"/\xff\xfe/\x80")) + frame(0, 1, 1, b"\x00\x00\x00\x00\x00"),
        OPENING + frame(1, 5, 1, headers(PREFIX.encode() + b"Chat", (b"x-a", b"caf\xe9"), (b"x-b-bin", b"!"))),
        OPENING + frame(1, 5, 1, headers(PREFIX.encode() + b"Chat", (b"grpc-timeout", b"soon"))),
        OPENING + frame(1, 5, 1, headers(b"")),
    ],
    ids=["http1", "zeros", "noise", "hpack", "short", "compressed", "cut", "empty", "path", "text", "timeout", "none"],
)
async def test_garbage(serve: Any, data: bytes) -> None:
    """Whatever a peer sends, the next one is served. (A path that is not UTF-8 stops an unguarded grpcio server.)"""
    served = await serve()
    await raw(served.address, data)
    assert pong(await served.stub("Echo")(ping("still here"), timeout=5)) == ("still here", 0)
    await until(lambda: not served.busy)


async def test_without_the_guard(serve: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """With a grpcio that has other insides the server runs, and says what is missing."""

    def missing(*_: object) -> None:
        raise AttributeError("_request_call")

    monkeypatch.setattr(guard, "_guarded", missing)
    served = await serve()
    assert "can stop it" in caplog.text
    assert pong(await served.stub("Echo")(ping("a"))) == ("a", 0)
    failure = await failure_of(served.plain().unary_unary("/no/such")(b""))
    assert facts(failure)[::3] == ("UNIMPLEMENTED", "UNIMPLEMENTED")


async def test_details_travel(serve: Any) -> None:
    """Further details follow the ErrorInfo."""

    async def failing(request: Any, call: Call, next: Handler) -> Any:
        raise Error("later", code=503, details=[RetryInfo()])

    served = await serve(middleware=[failing])
    failure = await failure_of(served.stub("Echo")(b""))
    status = status_pb2.Status.FromString(dict(failure.trailing_metadata() or ())["grpc-status-details-bin"])
    assert [detail.TypeName() for detail in status.details] == ["google.rpc.ErrorInfo", "google.rpc.RetryInfo"]


@ALL
async def test_details_by_grpcio_status(serve: Any, method: str) -> None:
    """Google's own library reads the status of every kind: ErrorInfo, then the details as they were given."""
    wrong = BadRequest(field_violations=[BadRequest.FieldViolation(field="name", description="is empty")])

    async def failing(request: Any, call: Call, next: Handler) -> Any:
        details = [wrong, RetryInfo(retry_delay=Duration(seconds=3))]
        raise Error("m", code=422, reason="WRONG", metadata={"k": "v"}, details=details)

    served = await serve(middleware=[failing])
    call = await start(served, method)
    await failure_of(call)
    status = await rpc_status.aio.from_call(call)
    assert (status.code, status.message) == (3, "m")
    info, broken, delay = (
        error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    )  # fmt: skip
    assert [each.Unpack(into) for each, into in zip(status.details, (info, broken, delay), strict=True)] == [True] * 3
    assert (info.reason, info.domain, dict(info.metadata)) == ("WRONG", "", {"k": "v"})
    assert [(each.field, each.description) for each in broken.field_violations] == [("name", "is empty")]
    assert delay.retry_delay.seconds == 3


async def test_foreign_code_goes_on(serve: Any) -> None:
    """An error that came over gRPC leaves with the code it came with, one that HTTP has no status for, too."""

    async def relaying(request: Any, call: Call, next: Handler) -> Any:
        raise restore(409, "TAKEN", "m", grpc=grpc.StatusCode.ALREADY_EXISTS.value[0])

    served = await serve(middleware=[relaying])
    failure = await failure_of(served.stub("Echo")(b""))
    assert facts(failure) == ("ALREADY_EXISTS", "m", "409", "TAKEN")
    with pytest.raises(Error) as ours:
        await KindsClient(served.client()).echo(Ping())
    assert (ours.value.code, GRPC_NAMES[ours.value.grpc_code]) == (409, "ALREADY_EXISTS")


@pytest.mark.parametrize("method", ["Echo", "Watch"])
async def test_no_request(serve: Any, engine: str, method: str) -> None:
    """A call that ends before its one message is answered, and its service never hears of it."""
    counting = Counting()
    served = await serve(middleware=[counting])
    call = served.plain().stream_stream(PREFIX + method)()
    await call.done_writing()
    async with asyncio.timeout(SECONDS):
        failure = await failure_of(call)
    assert served.service.calls == []
    if engine == "native":  # answers itself
        assert failure.code() is grpc.StatusCode.INTERNAL
    else:
        assert facts(failure)[::3] == ("UNIMPLEMENTED", "NO_REQUEST")
        assert counting.seen["open"] == 1


@ALL
async def test_plain_status(serve: Any, method: str) -> None:
    """An error that names its gRPC code, and no reason, is that status to the letter, with its details only."""

    async def failing(request: Any, call: Call, next: Handler) -> Any:
        raise Error("exists", grpc_code=6, details=[RetryInfo()])

    served = await serve(middleware=[failing])
    failure = await failure_of(await start(served, method))
    assert (failure.code(), failure.details()) == (grpc.StatusCode.ALREADY_EXISTS, "exists")
    status = status_pb2.Status.FromString(dict(failure.trailing_metadata() or ())["grpc-status-details-bin"])
    assert [detail.TypeName() for detail in status.details] == ["google.rpc.RetryInfo"]


async def test_large_plain_status(serve: Any) -> None:
    """One that is too large for the trailers loses its details, not its code."""

    async def failing(request: Any, call: Call, next: Handler) -> Any:
        raise Error("exists", grpc_code=6, details=[DebugInfo(detail="x" * 50_000)])

    failure = await failure_of((await serve(middleware=[failing])).stub("Echo")(b""))
    status = status_pb2.Status.FromString(dict(failure.trailing_metadata() or ())["grpc-status-details-bin"])
    assert (failure.code(), list(status.details)) == (grpc.StatusCode.ALREADY_EXISTS, [])


async def test_stop_finishes_what_is_under_way(serve: Any) -> None:
    """Calls under way end well; new ones are refused meanwhile."""
    served = await serve()
    chat = served.stub("Chat")()
    await chat.write(ping("a"))
    assert pong(await chat.read()) == ("a", 0)
    stopping = asyncio.create_task(served.server.stop(10))
    await asyncio.sleep(0.2)
    assert (await failure_of(served.stub("Echo")(b""))).code() is grpc.StatusCode.UNAVAILABLE
    await chat.write(ping("b"))
    assert pong(await chat.read()) == ("b", 0)
    assert not stopping.done()
    await chat.done_writing()
    assert await chat.read() is grpc.aio.EOF
    await asyncio.wait_for(stopping, 5)


@ALL
async def test_stop_cancels_at_the_limit(serve: Any, method: str) -> None:
    """What is not done in time is cancelled; its client learns that the server is unavailable."""
    counting = Counting()
    served = await serve(middleware=[counting], timeout=None)
    call = await start(served, method, "hang")
    await until(lambda: served.service.calls)
    await asyncio.wait_for(served.server.stop(0.2), 5)
    failure = await failure_of(call)
    assert facts(failure) == ("UNAVAILABLE", "the server is stopping", "503", "SERVER_STOPPING")
    assert counting.seen["cancelled"] == 1


async def test_stop_with_a_handler_that_does_not_end(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A handler that ignores its cancellation is not waited for for ever."""
    release = asyncio.Event()

    class Stubborn(Kinds):
        async def echo(self, request: Ping, call: Call) -> Pong:
            self.calls.append(call)
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            return Pong()

    served = await serve(Stubborn(), timeout=None)
    call = served.stub("Echo")(b"")
    await until(lambda: served.service.calls)
    await asyncio.wait_for(served.server.stop(0.1), 8)
    assert "did not end" in caplog.text
    release.set()
    await failure_of(call)


async def test_stop_with_a_silent_connection(serve: Any) -> None:
    """A connection whose client does not answer does not hold the server up beyond its limit."""
    served = await serve()
    host, _, port = served.address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(OPENING)
    await writer.drain()
    await asyncio.sleep(0.1)
    await asyncio.wait_for(served.server.stop(0.1), 5)
    writer.close()


async def test_start_again(serve: Any) -> None:
    """A server that has stopped can start again, at the same port."""
    served = await serve()
    await served.server.stop(0)
    await served.server.start()
    assert pong(await served.stub("Echo")(ping("a"))) == ("a", 0)


def test_options() -> None:
    """Limits and times are positive; they are checked when written down."""
    options = dict(server_options(Limits(max_message=1), KeepAlive(max_idle=60, max_age=3600)))
    assert {"grpc.max_connection_idle_ms": 60_000, "grpc.max_connection_age_ms": 3_600_000}.items() <= options.items()
    with pytest.raises(ValueError, match="max_streams is 0"):
        Limits(max_streams=0)
    with pytest.raises(ValueError, match="every is -1"):
        KeepAlive(every=-1)


async def test_busy_port(serve: Any) -> None:
    """A port that is taken is an error in words."""
    served = await serve()
    other = GRPCServer(served.address)
    other.mount([Kinds()], [], AppInfo())
    with pytest.raises(OSError, match="cannot listen on"):
        await other.start()


async def test_reading_past_the_end(serve: Any) -> None:
    """Requests that have ended stay ended; after the call, reading them is an error and not a wait."""
    kept: list[Messages[Ping]] = []

    class Keeping(Kinds):
        async def collect(self, requests: Messages[Ping], call: Call) -> Pong:
            kept.append(requests)
            if call.headers.get("x-read"):
                assert [ping async for ping in requests] == [ping async for ping in requests] == []
            return Pong()

    served = await serve(Keeping())
    for metadata in ((("x-read", "1"),), ()):
        collect = served.stub("Collect")(metadata=metadata)
        if metadata:
            await collect.done_writing()
        await collect
    assert [ping async for ping in kept[0]] == []
    with pytest.raises(ClientClosed):
        await anext(kept[1])


async def test_sending_after_the_end(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply that is streamed after the call has ended is an error and not a wait."""
    monkeypatch.setattr(handlers, "CANCEL_SECONDS", 0)
    monkeypatch.setattr(front, "CANCEL_SECONDS", 0)
    served = await serve()
    assert [data async for data in served.stub("Watch")(b"")] == []
    with pytest.raises(ClientClosed, match="has left"):
        await served.service.calls[0].stream_reply(Pong())


def test_peer_that_is_no_text() -> None:
    """An address that grpcio cannot tell is unknown, and fails nothing."""

    class Context:
        def peer(self) -> str:
            return b"\xff".decode()

    assert handlers._peer(Context()).address == ""  # type: ignore[arg-type]
    assert peer_address("ipv6:%5B::1%5D:52114") == "[::1]:52114"
    assert peer_address("unix:/run/app.sock") == "unix:/run/app.sock"


async def test_life_cycle() -> None:
    """A server without an app says what is missing; stopping what does not run does nothing; the banner has a line."""
    server = GRPCServer("127.0.0.1:0", timeout=None)
    with pytest.raises(RuntimeError, match="mount"):
        await server.start()
    await server.stop()
    assert (server.summary, GRPCServer(timeout=2.5).summary) == ("no time limit", "calls up to 2.5 s")
    server.mount([Kinds()], [], AppInfo())
    await server.start()
    await server.stop()
    await server.stop(1)


@pytest.mark.parametrize("engine", ["grpcio"])
async def test_time_counts_from_the_headers(serve: Any) -> None:
    """What a call waits for its message is part of its time: grpcio says when a call is there, and not since when."""
    served: Any = await serve()
    gate = asyncio.Event()

    async def requests() -> AsyncIterator[bytes]:
        await gate.wait()
        yield ping()

    with FakeClock() as clock:
        call = served.plain().stream_unary(PREFIX + "Echo")(requests())
        end = time.monotonic() + SECONDS
        while not served.busy:
            assert time.monotonic() < end
            await asyncio.sleep(0)
        arrived = clock()
        await clock.advance(4.0)
        gate.set()
        await call
        assert served.service.calls[0].arrived == arrived
        assert served.service.calls[0].deadline == arrived + 10.0
