"""What is left of a deadline, as the header says it."""

from __future__ import annotations

import math

import pytest
from aiohttp import web
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping
from hypothesis import given
from hypothesis import strategies as st
from unit.transport.http_client.rig import kinds

from kratos.transport.deadline import format_timeout, parse_timeout


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.25, "250m"),
        (0.57, "570m"),
        (1.001, "1001m"),
        (0.9999, "999m"),
        (2, "2000m"),
        (0.0001, "1m"),
        (0, "0m"),
        (-1, "0m"),
        (99_999.999, "99999999m"),
        (100_000, "100000S"),
        (1e12, "99999999S"),
        (math.inf, "99999999S"),
    ],
)
def test_forms(seconds: float, written: str) -> None:
    """Milliseconds where eight digits hold them, else seconds."""
    assert format_timeout(seconds) == written


@given(st.floats(0.001, 1e7))
def test_what_is_written_is_read(seconds: float) -> None:
    """The peer gets no more than there is, and less by no more than a millisecond, or a second."""
    read = parse_timeout(format_timeout(seconds))
    assert seconds - (0.001 if seconds < 99_999 else 1) - 1e-6 <= read <= seconds + 1e-6


@pytest.mark.parametrize("usual", [True, False])
@pytest.mark.parametrize(("seconds", "written"), [(1e10, "99999999S"), (math.inf, None)])
async def test_limits_that_nobody_lives_to_see(seconds: float, written: str | None, usual: bool) -> None:
    """A limit longer than can be written is the longest there is, and one that is for ever is none."""
    seen = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers.get("x-request-timeout"))
        return web.json_response({"text": "a"})

    async with kinds(answer, timeout=seconds if usual else None) as api:
        reply = await (api.echo(Ping()) if usual else api.echo(Ping(), timeout=seconds))
    assert (reply.text, seen) == ("a", [written])
