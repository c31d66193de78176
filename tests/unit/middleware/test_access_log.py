"""access_log(): one line per call, whatever its kind and however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KINDS_COLLECT, KINDS_ECHO, KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Kinds

from kratos.call import Call, Peer
from kratos.codec.proto import ProtoCodec
from kratos.errors import BadRequest, Error, GatewayTimeout, InternalServer
from kratos.handler import Handler
from kratos.log import Redaction
from kratos.metadata import Metadata
from kratos.middleware import access_log, recovery
from kratos.middleware.access_log import AccessLog
from kratos.testing import FakeClock, serve


class Rig:
    """A served fixture that logs on both sides."""

    def __init__(self) -> None:
        self.service = Kinds()
        self.server, self.client = io.StringIO(), io.StringIO()
        self.logs = (access_log(to=self.server), access_log(to=self.client))
        self.api: KindsClient

    def lines(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Returns the one line of each side."""
        for log in self.logs:
            log.flush()
        (server,), (client,) = self.server.getvalue().splitlines(), self.client.getvalue().splitlines()
        return json.loads(server), json.loads(client)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    server, client = rig.logs
    async with serve(rig.service, middleware=[server], client_middleware=[client], timeout=1.0) as conn:
        rig.api = KindsClient(conn)
        yield rig
    await server.aclose()
    await client.aclose()


def call_of(operation: Any = KINDS_ECHO, **facts: Any) -> Call:
    call = Call(operation, kind="http", side="server", headers=Metadata(), peer=Peer("10.0.0.7:1"))
    for name, fact in facts.items():
        setattr(call, name, fact)
    return call


async def logged(handler: Handler, call: Call, request: Any = None) -> dict[str, Any]:
    """Runs one call and returns its line."""
    stream = io.StringIO()
    log = access_log(to=stream)
    with contextlib.suppress(BaseException):
        await log(request, call, handler)
    log.flush()
    (line,) = stream.getvalue().splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def failing(failure: BaseException) -> Handler:
    async def handler(request: Any, call: Call) -> Any:
        raise failure

    return handler


async def test_unary(rig: Rig) -> None:
    """Both sides write one line, told apart by kind."""
    await rig.api.echo(Ping(text="a"))
    server, client = rig.lines()
    for line, kind in ((server, "server"), (client, "client")):
        assert (line["kind"], line["msg"], line["component"]) == (kind, f"{kind} request", "memory")
        assert (line["operation"], line["code"], line["reason"]) == ("/fixture.kinds.v1.Kinds/Echo", 200, "")
        assert (line["level"], line["peer"]) == ("INFO", "memory")
        assert 0 <= line["latency"] < 10
        assert not {"requests", "replies", "error"} & line.keys()


async def test_failure(rig: Rig) -> None:
    """An error has its code, reason and message; what a caller did wrong is no ERROR."""
    with pytest.raises(Nope):
        await rig.api.echo(Ping(text="nope"))
    for line in rig.lines():
        assert (line["level"], line["code"], line["reason"], line["error"]) == ("INFO", 404, "NOPE", "not here")


async def test_crash(rig: Rig) -> None:
    """An unexpected failure is a 500 with its text, and the id that the client has."""
    with pytest.raises(InternalServer) as failure:
        await rig.api.echo(Ping(text="crash"))
    server, client = rig.lines()
    assert (server["level"], server["code"], server["reason"]) == ("ERROR", 500, "UNKNOWN")
    assert server["error"] == "ValueError: secret-db-password"
    assert server["error_id"] == failure.value.metadata["error_id"]
    assert client["error"] == "internal error"


@pytest.mark.parametrize("outside", [True, False])
async def test_recovery_on_either_side_of_it(outside: bool) -> None:
    """The line has the error id wherever recovery() stands."""
    stream = io.StringIO()
    log = access_log(to=stream)
    chain = [recovery(), log] if outside else [log, recovery()]
    async with serve(Kinds(), middleware=chain) as conn:
        with pytest.raises(InternalServer) as failure:
            await KindsClient(conn).echo(Ping(text="crash"))
    log.flush()
    assert json.loads(stream.getvalue())["error_id"] == failure.value.metadata["error_id"]


async def test_server_stream(rig: Rig) -> None:
    """A stream has one line, at its end, with the number of its messages."""
    async with rig.api.watch(Ping(count=3)) as replies:
        assert len([reply async for reply in replies]) == 3
    for line in rig.lines():
        assert (line["code"], line["requests"], line["replies"]) == (200, 1, 3)


async def test_client_stream(rig: Rig) -> None:
    """Requests are counted as they are read, the one reply is counted too."""
    async with rig.api.collect() as stream:
        for _ in range(4):
            await stream.send(Ping())
        await stream.reply()
    for line in rig.lines():
        assert (line["code"], line["requests"], line["replies"]) == (200, 4, 1)


async def test_bidi_that_fails(rig: Rig) -> None:
    """What passed before a failure is counted."""
    with pytest.raises(Nope):
        async with rig.api.chat() as chat:
            await chat.send(Ping())
            await chat.send(Ping(text="nope"))
            _ = [reply async for reply in chat]
    for line in rig.lines():
        assert (line["code"], line["requests"], line["replies"]) == (404, 2, 1)


async def test_the_caller_leaves(rig: Rig) -> None:
    """A cancelled call is a 499 on both sides."""
    task = asyncio.create_task(rig.api.echo(Ping(text="hang")))
    while not rig.service.calls:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for line in rig.lines():
        assert (line["level"], line["code"], line["reason"]) == ("INFO", 499, "CANCELLED")


async def test_time_is_up(rig: Rig) -> None:
    """A call cut by its deadline is a 504 on both sides, as its caller sees it."""
    with FakeClock() as clock:
        task = asyncio.create_task(rig.api.echo(Ping(text="hang")))
        await clock.advance(1.1)
        with pytest.raises(GatewayTimeout):
            await task
    server, client = rig.lines()
    assert (server["level"], server["code"], server["reason"]) == ("ERROR", 504, "DEADLINE_EXCEEDED")
    assert server["error"] == "took longer than the server allows"
    assert (client["code"], client["reason"]) == (504, "DEADLINE_EXCEEDED")


async def test_cancelled_with_time_left() -> None:
    """A deadline that has not come yet is not why a call was cancelled."""
    call = call_of()
    call.shorten(60)
    assert (await logged(failing(asyncio.CancelledError()), call))["code"] == 499


async def test_a_request_that_cannot_be_read() -> None:
    """A rejected request has a line like any other."""

    class Garbling(ProtoCodec):
        def encode(self, message: object, /) -> bytes:
            return b"\xff\xff\xff" if isinstance(message, Ping) else super().encode(message)

    stream = io.StringIO()
    log = access_log(to=stream)
    async with serve(Kinds(), middleware=[log], codec=Garbling()) as conn:
        with pytest.raises(BadRequest):
            await KindsClient(conn).echo(Ping(text="a"))
    log.flush()
    assert json.loads(stream.getvalue())["reason"] == "CODEC"


@pytest.mark.parametrize(
    ("failure", "code", "error"),
    [
        (ExceptionGroup("", [Nope("inside")]), 404, "inside"),
        (Error("odd", code=10001), 500, "odd"),
        (KeyboardInterrupt(), 500, "KeyboardInterrupt"),
        (ValueError("x" * 5000), 500, "ValueError: " + "x" * 1988),
    ],
)
async def test_other_failures(failure: BaseException, code: int, error: str) -> None:
    """The code is the one that goes on the wire, and no text is longer than a line should be."""
    line = await logged(failing(failure), call_of())
    assert (line["code"], line["error"]) == (code, error)


async def test_a_failure_that_cannot_be_shown() -> None:
    """An exception whose text fails does not hide the call."""

    class Shy(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "Shy" in (await logged(failing(Shy()), call_of()))["error"]


async def test_status_and_fields_of_the_call() -> None:
    """A handler's own status and what other middleware wrote into the call are in the line."""

    async def created(request: Any, call: Call) -> Any:
        call.reply.status = 201
        call.fields["trace_id"] = "4bf9"
        return Pong()

    line = await logged(created, call_of())
    assert (line["code"], line["trace_id"], line["peer"]) == (201, "4bf9", "10.0.0.7:1")
    line = await logged(created, call_of(KINDS_COLLECT), Ping())
    assert (line["code"], line["requests"], line["replies"]) == (201, 1, 1)


async def test_records(caplog: pytest.LogCaptureFixture) -> None:
    """Lines can go to logging instead."""
    log = access_log(records=True)
    with caplog.at_level(logging.INFO, "kratos.access"):
        async with serve(Kinds(), middleware=[log]) as conn:
            await KindsClient(conn).echo(Ping())
        await log.aclose()
    (record,) = caplog.records
    assert vars(record)["operation"] == "/fixture.kinds.v1.Kinds/Echo"


async def test_to_a_file_and_through_a_restart(tmp_path: Path) -> None:
    """Closing writes what waits; calls after it are written too."""
    path = tmp_path / "access.log"
    log = access_log(to=path)
    for count in (1, 2):
        async with serve(Kinds(), middleware=[log]) as conn:
            await KindsClient(conn).echo(Ping())
        await log.aclose()
        assert len(path.read_text().splitlines()) == count


def test_one_log_for_several_event_loops(tmp_path: Path) -> None:
    """The queue belongs to no event loop."""
    path = tmp_path / "access.log"
    log = access_log(to=path)

    async def use() -> None:
        async with serve(Kinds(), middleware=[log]) as conn:
            await KindsClient(conn).echo(Ping())

    for _ in range(3):
        asyncio.run(use())
    log.flush()
    assert len(path.read_text().splitlines()) == 3


async def test_a_full_queue_never_slows_a_call() -> None:
    """Lines beyond the limit are lost and counted."""
    stream = io.StringIO()
    log = access_log(to=stream, limit=2)
    with log._queue._writing:  # the reader of the log has fallen asleep
        async with serve(Kinds(), middleware=[log]) as conn:
            for _ in range(5):
                await KindsClient(conn).echo(Ping())
    await log.aclose()
    *lines, lost = map(json.loads, stream.getvalue().splitlines())
    assert [line["code"] for line in lines] == [200, 200]
    assert (lost["msg"], lost["lost"]) == ("access lines lost", 3)


def test_what_it_returns() -> None:
    """The end of its life is for whoever made it."""
    assert isinstance(access_log(), AccessLog)


async def test_requests_in_the_line(rig: Rig) -> None:
    """Where that is asked for, the request is in the line as it came, masked; streamed ones never are."""
    stream = io.StringIO()
    log = access_log(to=stream, args=True, redact=Redaction("text"))
    async with serve(Kinds(), middleware=[log]) as conn:
        api = KindsClient(conn)
        await api.echo(Ping(text="a", count=2))
        async with api.watch(Ping(count=1)) as replies:
            _ = [reply async for reply in replies]
        async with api.collect() as sending:
            await sending.send(Ping(text="a"))
            await sending.reply()
    await log.aclose()
    unary, watched, collected = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert unary["args"] == {"text": "***", "count": 2}
    assert (watched["args"], watched["replies"]) == ({"count": 1}, 1)
    assert ("args" in collected, collected["requests"]) == (False, 1)


async def test_requests_are_cut() -> None:
    """A request of any size makes a line of some thousand letters; one that could not be read is none."""

    async def fine(request: Any, call: Call) -> Any:
        return Pong()

    for rejected, told in ((None, True), (BadRequest("no"), False)):
        stream = io.StringIO()
        log = access_log(to=stream, args=True)
        await log([{"name": "x" * 3000}] * 3, call_of(rejected=rejected), fine)
        log.flush()
        line = json.loads(stream.getvalue())
        assert ("args" in line) is told
        assert len(stream.getvalue()) < 6000
    assert line["code"] == 200


async def test_fields_and_errors_are_masked() -> None:
    """Neither what middleware wrote nor the text of a failure tells a secret."""
    line = await logged(failing(ValueError("token=s3cret")), call_of(fields={"token": "s3cret", "n": 1}))
    assert (line["error"], line["token"], line["n"]) == ("ValueError: token=***", "***", 1)


async def test_what_was_lost_is_counted() -> None:
    """The number only grows."""

    async def fine(request: Any, call: Call) -> Any:
        return Pong()

    log = access_log(to=io.StringIO(), limit=0)
    for _ in range(3):
        await log(None, call_of(), fine)
    assert log.dropped == 3
