"""validate(): everything that is wrong, at once, before the handler."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping
from roundtrip.service import Kinds

from kratos.codec.proto import ProtoCodec
from kratos.errors import BadRequest, Forbidden, InternalServer
from kratos.middleware import Violation, validate
from kratos.testing import serve
from kratos.wire.google.rpc.error_details_pb import BadRequest as Details


def proper(ping: Ping) -> Iterator[Violation]:
    if not ping.text:
        yield Violation("text", "must not be empty", "string.min_len")
    if ping.count < 0:
        yield Violation("count", "must not be negative")


def small(ping: Ping) -> list[Violation] | None:
    return [Violation("count", "must be even"), Violation("", "is odd")] if ping.count % 2 else None


async def test_all_at_once() -> None:
    """Every violation of every check is in the message, the metadata and the details."""
    service = Kinds()
    async with serve(service, middleware=[validate(proper, small)]) as conn:
        api = KindsClient(conn)
        assert (await api.echo(Ping(text="a", count=2))).text == "a"
        service.calls.clear()
        with pytest.raises(BadRequest) as failure:
            await api.echo(Ping(count=-1))
    error = failure.value
    assert service.calls == []
    assert (error.code, error.reason) == (400, "VALIDATOR")
    assert error.message == "text: must not be empty; count: must not be negative; must be even; is odd"
    assert error.metadata == {"text": "must not be empty", "count": "must not be negative; must be even"}
    (details,) = error.details
    assert isinstance(details, Details)
    assert [(each.field, each.description, each.reason) for each in details.field_violations] == [
        ("text", "must not be empty", "string.min_len"),
        ("count", "must not be negative", ""),
        ("count", "must be even", ""),
        ("", "is odd", ""),
    ]


@pytest.mark.parametrize("side", ["server", "client"])
async def test_every_kind(side: str) -> None:
    """Unary requests are checked before the handler, streamed ones as they are read, on either side."""
    middleware: dict[str, Any] = {"middleware" if side == "server" else "client_middleware": [validate(proper)]}
    async with serve(Kinds(), **middleware) as conn:
        api = KindsClient(conn)
        with pytest.raises(BadRequest, match="VALIDATOR"):
            async with api.watch(Ping()) as replies:
                await anext(aiter(replies))
        with pytest.raises(BadRequest, match="VALIDATOR"):
            async with api.collect() as stream:
                await stream.send(Ping(text="fine"))
                await stream.send(Ping())
                await stream.reply()
        async with api.chat() as chat:
            await chat.send(Ping(text="fine"))
            assert (await anext(aiter(chat))).text == "fine"
            with pytest.raises(BadRequest, match="VALIDATOR"):
                await chat.send(Ping())
                await anext(aiter(chat))


@pytest.mark.parametrize(
    ("raised", "caught", "text"),
    [
        (ValueError("not today"), BadRequest, "400 VALIDATOR: not today"),
        (Forbidden("not you", reason="NOT_YOU"), Forbidden, "403 NOT_YOU: not you"),
        (TypeError("a defect"), InternalServer, "500 UNKNOWN: internal error"),
    ],
)
async def test_a_check_that_raises(raised: Exception, caught: type[Exception], text: str) -> None:
    """A ValueError is one violation, an Error is the answer, anything else is a defect of the check."""

    def check(ping: Ping) -> None:
        raise raised

    async with serve(Kinds(), middleware=[validate(check)]) as conn:
        with pytest.raises(caught) as failure:
            await KindsClient(conn).echo(Ping())
    assert str(failure.value) == text


async def test_it_steps_aside_for_a_request_that_cannot_be_read() -> None:
    """The failure to read it is the answer, not what an empty message breaks."""

    class Garbling(ProtoCodec):
        def encode(self, message: object, /) -> bytes:
            return b"\xff\xff\xff" if isinstance(message, Ping) else super().encode(message)

    async with serve(Kinds(), middleware=[validate(proper)], codec=Garbling()) as conn:
        with pytest.raises(BadRequest, match="CODEC"):
            await KindsClient(conn).echo(Ping(text="a"))
