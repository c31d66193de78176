"""timeout(): only ever less time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KINDS_ECHO, KINDS_WATCH, KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping
from roundtrip.service import Kinds

from kratos.call import Call
from kratos.errors import GatewayTimeout
from kratos.handler import only
from kratos.live import Live
from kratos.metadata import Metadata
from kratos.middleware import timeout
from kratos.testing import FakeClock, serve


def call_of(operation: Any = KINDS_ECHO) -> Call:
    return Call(operation, kind="test", side="server", headers=Metadata())


async def remaining(middleware: Any, call: Call) -> float | None:
    """Returns what is left of a call behind the middleware."""

    async def handler(request: Any, call: Call) -> Any:
        return call.remaining()

    found: float | None = await middleware("", call, handler)
    return found


async def test_it_only_shortens() -> None:
    """An earlier deadline stays, a later one or none becomes earlier."""
    with FakeClock():
        assert await remaining(timeout(2.0), call_of()) == 2.0
        call = call_of()
        call.shorten(1.0, "client")
        assert await remaining(timeout(2.0), call) == 1.0
        assert call.limit == "client"
        assert await remaining(timeout(0.5), call) == 0.5
        assert call.limit == "method"


async def test_streams_only_if_asked() -> None:
    """A stream has no limit unless somebody wants it."""
    with FakeClock():
        assert await remaining(timeout(2.0), call_of(KINDS_WATCH)) is None
        assert await remaining(timeout(2.0, streams=True), call_of(KINDS_WATCH)) == 2.0


async def test_live() -> None:
    """A new value counts for the next call."""
    seconds = Live(2.0)
    middleware = timeout(seconds)
    with FakeClock():
        assert await remaining(middleware, call_of()) == 2.0
        seconds.set(3.0)
        assert await remaining(middleware, call_of()) == 3.0


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_no_time_at_all(seconds: float) -> None:
    """A limit that no call can keep is a mistake."""
    with pytest.raises(ValueError, match="more than no time"):
        timeout(seconds)


@pytest.mark.parametrize("side", ["server", "client"])
async def test_one_operation(side: str) -> None:
    """With only() it is the limit of one method, on either side, and says so."""
    chain = [only("/fixture.kinds.v1.Kinds/Echo", timeout(0.5))]
    with FakeClock() as clock:
        async with serve(Kinds(), **{"middleware" if side == "server" else "client_middleware": chain}) as conn:  # type: ignore[arg-type]  # one of two
            task = asyncio.create_task(KindsClient(conn).echo(Ping(text="hang")))
            await clock.advance(0.6)
            with pytest.raises(GatewayTimeout) as failure:
                await task
    assert failure.value.metadata == {"limit": "method"}


@pytest.mark.parametrize("asked", [True, False])
async def test_streams(asked: bool) -> None:
    """A stream outlives the limit for unary calls, and not its own."""
    with FakeClock() as clock:
        async with serve(Kinds(), middleware=[timeout(1.0, streams=asked)]) as conn, KindsClient(conn).chat() as chat:
            await clock.advance(2)
            if asked:
                with pytest.raises(GatewayTimeout):
                    await anext(aiter(chat))
            else:
                await chat.send(Ping(text="still here"))
                assert (await anext(aiter(chat))).text == "still here"
