"""gRPC for Go judges us by its own interoperability cases, and we play them against its server.

The cases are described at https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from interop import judge
from interop.contract import (
    AbsentClient,
    EchoStatus,
    Empty,
    JudgeClient,
    Payload,
    PayloadType,
    ResponseParameters,
    SimpleRequest,
    StreamingInputCallRequest,
    StreamingOutputCallRequest,
)
from interop.judged import INITIAL, TRAILING, Judged
from interop.peer import MISSING, SECONDS, has_go
from kratos.app import App, Shutdown
from kratos.call import Reply
from kratos.errors import Error, GatewayTimeout, Unimplemented
from kratos.metadata import Metadata
from kratos.transport.grpc import GRPCClient, GRPCServer

pytestmark = pytest.mark.interop

REQUEST_SIZES = (27182, 8, 1828, 45904)
REPLY_SIZES = (31415, 9, 2653, 58979)
SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"
ECHOED = {INITIAL: "test_initial_metadata_value", TRAILING: b"\x0a\x0b\x0a\x0b\x0a\x0b"}


@pytest.fixture(scope="session")
def judge_client() -> Path:
    """The judges' client, built."""
    if not has_go():
        pytest.skip(MISSING)
    return judge.build("client")


@pytest.fixture(scope="session")
def judge_server() -> Iterator[judge.JudgeServer]:
    """The judges' server, running."""
    if not has_go():
        pytest.skip(MISSING)
    server = judge.JudgeServer(judge.build("server"))
    yield server
    server.close()


@pytest.fixture(params=["grpcio", "native"])
async def judged(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Where our server answers the judges' client, on each engine."""
    server = GRPCServer("127.0.0.1:0", engine=request.param)
    shutdown = Shutdown(finish=1, drain=0)
    async with App(name="judged", services=[Judged()], servers=[server], shutdown=shutdown):
        yield server.endpoint.partition("://")[2]


@pytest.mark.parametrize("case", judge.CASES)
async def test_server(judge_client: Path, judged: str, case: str) -> None:
    """Our server, as gRPC's client for Go sees it."""
    code, output = await judge.play(judge_client, judged, case)
    assert code == 0, output


async def test_judge_can_fail(judge_client: Path, judged: str) -> None:
    """A case that is none fails: an exit code of 0 means something."""
    code, output = await judge.play(judge_client, judged, "no_such_case")
    assert code == 1
    assert "no_such_case" in output


@pytest.fixture
async def conn(judge_server: judge.JudgeServer) -> AsyncIterator[GRPCClient]:
    """Our client, connected to gRPC's server for Go."""
    async with GRPCClient(judge_server.address, timeout=SECONDS) as conn:
        yield conn


@pytest.fixture
def client(conn: GRPCClient) -> JudgeClient:
    """What calls the test service."""
    return JudgeClient(conn)


def asked(size: int, *replies: int) -> StreamingOutputCallRequest:
    return StreamingOutputCallRequest(
        payload=Payload(body=bytes(size)), response_parameters=[ResponseParameters(size=reply) for reply in replies]
    )


def filled(payload: Payload | None, size: int) -> bool:
    return payload == Payload(type=PayloadType.COMPRESSABLE, body=bytes(size))


async def test_empty_unary(client: JudgeClient) -> None:
    """Nothing for nothing."""
    assert await client.empty_call(Empty()) == Empty()


async def test_large_unary(client: JudgeClient) -> None:
    """Much for much."""
    reply = await client.unary_call(SimpleRequest(response_size=314159, payload=Payload(body=bytes(271828))))
    assert filled(reply.payload, 314159)


async def test_client_streaming(client: JudgeClient) -> None:
    """All requests arrive."""
    async with client.streaming_input_call() as stream:
        for size in REQUEST_SIZES:
            await stream.send(StreamingInputCallRequest(payload=Payload(body=bytes(size))))
        reply = await stream.reply()
    assert reply.aggregated_payload_size == sum(REQUEST_SIZES) == 74922


async def test_server_streaming(client: JudgeClient) -> None:
    """All replies arrive, in order."""
    async with client.streaming_output_call(asked(0, *REPLY_SIZES)) as replies:
        payloads = [reply.payload async for reply in replies]
    assert len(payloads) == len(REPLY_SIZES)
    assert all(map(filled, payloads, REPLY_SIZES))


async def test_ping_pong(client: JudgeClient) -> None:
    """Each request has its reply before the next one is sent."""
    async with client.full_duplex_call() as stream:
        replies = aiter(stream)
        for size, answer in zip(REQUEST_SIZES, REPLY_SIZES, strict=True):
            await stream.send(asked(size, answer))
            assert filled((await anext(replies)).payload, answer)
        await stream.done()
        assert [reply async for reply in replies] == []


async def test_half_duplex(client: JudgeClient) -> None:
    """Every request before the first reply."""
    async with client.half_duplex_call() as stream:
        for size, answer in zip(REQUEST_SIZES, REPLY_SIZES, strict=True):
            await stream.send(asked(size, answer))
        await stream.done()
        payloads = [reply.payload async for reply in stream]
    assert len(payloads) == len(REPLY_SIZES)
    assert all(map(filled, payloads, REPLY_SIZES))


async def test_empty_stream(client: JudgeClient) -> None:
    """No requests, no replies, no error."""
    async with client.full_duplex_call() as stream:
        await stream.done()
        assert [reply async for reply in stream] == []


async def test_cancel_after_begin(client: JudgeClient) -> None:
    """A call that is cancelled before its first message ends at once, and the connection serves the next one."""
    opened = asyncio.Event()

    async def call() -> None:
        async with client.streaming_input_call():
            opened.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(call())
    await opened.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await client.empty_call(Empty()) == Empty()


async def test_cancel_after_first_response(client: JudgeClient) -> None:
    """The same after the first reply."""

    async def call(first: asyncio.Event) -> None:
        async with client.full_duplex_call() as stream:
            await stream.send(asked(27182, 31415))
            assert filled((await anext(aiter(stream))).payload, 31415)
            first.set()
            await anext(aiter(stream))

    first = asyncio.Event()
    task = asyncio.create_task(call(first))
    await asyncio.wait_for(first.wait(), SECONDS)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await client.empty_call(Empty()) == Empty()


async def test_timeout_on_sleeping_server(client: JudgeClient) -> None:
    """A server that says nothing is given up at the deadline."""
    with pytest.raises(GatewayTimeout) as failure:
        async with client.full_duplex_call(timeout=0.001) as stream:
            await stream.send(asked(27182))
            await anext(aiter(stream))
    assert failure.value.reason == "DEADLINE_EXCEEDED"


async def test_custom_metadata(client: JudgeClient) -> None:
    """A header comes back as a header and bytes as a trailer, from both kinds of calls."""
    headers = Metadata()
    headers.set(INITIAL, "test_initial_metadata_value")
    headers.set_binary(TRAILING, b"\x0a\x0b\x0a\x0b\x0a\x0b")
    one, many = Reply(), Reply()
    answer = await client.unary_call(
        SimpleRequest(response_size=1, payload=Payload(body=b"\0")), headers=headers, reply=one
    )
    assert filled(answer.payload, 1)
    async with client.full_duplex_call(headers=headers, reply=many) as stream:
        await stream.send(asked(1, 1))
        await stream.done()
        assert [filled(reply.payload, 1) async for reply in stream] == [True]
    for reply in (one, many):
        assert {
            INITIAL: reply.headers.get(INITIAL),
            TRAILING: reply.trailers.binary(TRAILING),
        } == ECHOED


async def test_status_code_and_message(client: JudgeClient) -> None:
    """Code and message arrive, from both kinds of calls; no HTTP status stands for UNKNOWN, so it is a 500."""
    status = EchoStatus(code=2, message="test status message")
    with pytest.raises(Error) as one:
        await client.unary_call(SimpleRequest(response_status=status))
    with pytest.raises(Error) as many:
        async with client.full_duplex_call() as stream:
            await stream.send(StreamingOutputCallRequest(response_status=status))
            await stream.done()
            await anext(aiter(stream))
    for failure in (one.value, many.value):
        assert (failure.grpc_code, failure.code, failure.message) == (2, 500, "test status message")


async def test_special_status_message(client: JudgeClient) -> None:
    """White space and every plane of Unicode arrive."""
    with pytest.raises(Error) as failure:
        await client.unary_call(SimpleRequest(response_status=EchoStatus(code=2, message=SPECIAL)))
    assert (failure.value.grpc_code, failure.value.code, failure.value.message) == (2, 500, SPECIAL)


async def test_unimplemented_method(client: JudgeClient) -> None:
    """A method that the server does not have."""
    with pytest.raises(Unimplemented):
        await client.unimplemented_call(Empty())


async def test_unimplemented_service(conn: GRPCClient) -> None:
    """A service that it does not have."""
    with pytest.raises(Unimplemented):
        await AbsentClient(conn).unimplemented_call(Empty())
