"""recovery(): unexpected failures, their id, and the user's own answer."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KINDS_ECHO, KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping
from roundtrip.service import Kinds

from kratos.call import Call
from kratos.errors import Error, InternalServer, ServiceUnavailable
from kratos.handler import Handler, Messages
from kratos.metadata import Metadata
from kratos.middleware import recovery
from kratos.testing import serve


def call_of() -> Call:
    return Call(KINDS_ECHO, kind="test", side="server", headers=Metadata())


def failing(failure: BaseException) -> Handler:
    async def handler(request: Any, call: Call) -> Any:
        raise failure

    return handler


async def test_no_failure_no_change() -> None:
    """A reply passes."""

    async def handler(request: Any, call: Call) -> Any:
        return request

    assert await recovery()("hello", call_of(), handler) == "hello"


async def test_unexpected_failure(caplog: pytest.LogCaptureFixture) -> None:
    """A crash is a 500 with an id; traceback and id are logged once, the request is not, the cause is kept."""
    crash, call = ValueError("secret"), call_of()
    with pytest.raises(InternalServer) as failure:
        await recovery()(Ping(text="private"), call, failing(crash))
    error_id = failure.value.metadata["error_id"]
    assert (failure.value.code, failure.value.reason) == (500, "UNKNOWN")
    assert "secret" not in str(failure.value)
    assert failure.value.__cause__ is crash
    assert call.fields == {"error_id": error_id}
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert error_id in record.getMessage()
    assert "ValueError: secret" in caplog.text
    assert "private" not in caplog.text


@pytest.mark.parametrize("failure", [Nope("no"), asyncio.CancelledError(), KeyboardInterrupt(), GeneratorExit()])
async def test_what_passes(failure: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """Errors and what is not an Exception go through as they are, unlogged."""
    with pytest.raises(type(failure)) as raised:
        await recovery()("", call_of(), failing(failure))
    assert raised.value is failure
    assert not caplog.records


async def test_an_error_in_a_group_of_one(caplog: pytest.LogCaptureFixture) -> None:
    """What a TaskGroup has wrapped is still that error, and the handler is not asked."""
    nope = Nope("inside")
    with pytest.raises(Nope) as raised:
        await recovery(handler=pytest.fail)("", call_of(), failing(ExceptionGroup("", [ExceptionGroup("", [nope])])))
    assert raised.value is nope
    assert not caplog.records


async def test_a_group_of_several(caplog: pytest.LogCaptureFixture) -> None:
    """Several failures at once are unexpected together."""
    with pytest.raises(InternalServer):
        await recovery()("", call_of(), failing(ExceptionGroup("both", [Nope("a"), ValueError("b")])))
    assert "both" in caplog.text


async def test_own_answer(caplog: pytest.LogCaptureFixture) -> None:
    """The handler gets failure, request and call, and its error is the answer; the log has the failure anyway."""
    crash, call, seen = ValueError("secret"), call_of(), []

    def answer(failure: Exception, request: Any, call: Call) -> Error:
        seen.append((failure, request, call))
        return ServiceUnavailable("later", reason="BUSY", metadata={"id": call.fields["error_id"]})

    with pytest.raises(ServiceUnavailable, match="later") as raised:
        await recovery(handler=answer)("request", call, failing(ExceptionGroup("", [crash])))
    assert seen == [(crash, "request", call)]
    assert raised.value.metadata["id"] in caplog.text


@pytest.mark.parametrize("side", ["server", "client"])
async def test_every_kind(side: str, caplog: pytest.LogCaptureFixture) -> None:
    """On all four kinds a crash reaches the caller as one 500, logged once, from either side."""

    async def crash(request: Any, call: Call, next: Handler) -> Any:
        if side == "client":
            raise ValueError("secret")
        return await next(request, call)

    server = [recovery()] if side == "server" else []
    async with serve(Kinds(), middleware=server, client_middleware=[recovery(), crash]) as conn:
        api = KindsClient(conn)
        for kind in ("unary", "server", "client", "bidi"):
            caplog.clear()
            with pytest.raises(InternalServer) as failure:
                await use(api, kind, "crash")
            assert failure.value.metadata["error_id"] in caplog.text
            assert len(caplog.records) == 1


async def use(api: KindsClient, kind: str, text: str) -> None:
    """Makes a call of a kind whose text decides what happens."""
    if kind == "unary":
        await api.echo(Ping(text=text))
    elif kind == "server":
        async with api.watch(Ping(text=text, count=1)) as replies:
            _ = [reply async for reply in replies]
    elif kind == "client":
        async with api.collect() as stream:
            await stream.send(Ping(text=text))
            await stream.reply()
    else:
        async with api.chat() as chat:
            await chat.send(Ping(text=text))
            _ = [reply async for reply in chat]


async def test_the_handler_sees_the_stream() -> None:
    """Where requests are streamed, the handler gets the messages."""
    seen: list[Any] = []

    def answer(failure: Exception, request: Any, call: Call) -> Error:
        seen.append(request)
        return ServiceUnavailable("later")

    async with serve(Kinds(), middleware=[recovery(handler=answer)]) as conn:
        with pytest.raises(ServiceUnavailable):
            await use(KindsClient(conn), "client", "crash")
    assert isinstance(seen[0], Messages)
