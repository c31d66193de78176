"""The call: deadlines, replies, streamed replies, and which call is current."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.call import AppInfo, Call, Peer, Reply, current_call, enter_call, leave_call
from kratos.metadata import Metadata
from kratos.operation import ServerStream, Unary
from kratos.testing.clock import FakeClock

UNARY = Unary("/shop.v1.Orders/Get", int, str)
STREAM = ServerStream("/shop.v1.Orders/Watch", int, str)


def call(**options: Any) -> Call:
    """Makes a call."""
    return Call(UNARY, kind="memory", side="server", headers=Metadata(), **options)


def test_defaults() -> None:
    """A bare call knows its operation and nothing about anybody."""
    it = call()
    assert (it.operation, it.kind, it.side, it.peer) == (UNARY, "memory", "server", Peer())
    assert (it.deadline, it.limit, it.remaining()) == (None, None, None)
    assert (it.app, it.parent, it.rejected, it.fields, it.state) == (None, None, None, {}, {})
    assert (dict(it.options), dict(it.known)) == ({}, {})
    assert repr(it) == "<Call /shop.v1.Orders/Get memory server>"
    assert AppInfo() == AppInfo(name="", version="", id="", metadata={}, endpoints=())


def test_calls_share_nothing() -> None:
    """Fields, state, reply and metadata belong to one call; a caller's reply is used as given."""
    one, other = call(), call()
    one.fields["a"] = one.state["a"] = 1
    one.metadata.add("a", "1")
    one.reply.headers.add("a", "1")
    assert (other.fields, other.state, other.metadata.items(), other.reply.header_pairs()) == ({}, {}, [], [])
    mine = Reply()
    assert call(reply=mine).reply is mine


def test_metadata_is_set_as_a_whole() -> None:
    """The metadata middleware hands over what it selected."""
    it = call()
    assert it.metadata is it.metadata
    it.metadata = selected = Metadata({"x-md-global-tenant": "t1"})
    assert it.metadata is selected


def test_reply() -> None:
    """Headers and trailers are apart, appear on first use, and cost nothing before."""
    reply = Reply()
    assert (reply.status, reply.header_pairs(), reply.trailer_pairs()) == (None, [], [])
    assert (reply._headers, reply._trailers) == (None, None)
    reply.headers.add("A", "1")
    reply.headers.add("a", "2")
    reply.trailers.add("b", "3")
    reply.trailers.add("b", "4")
    assert (reply.header_pairs(), reply.trailer_pairs()) == ([("a", "1"), ("a", "2")], [("b", "3"), ("b", "4")])


def test_what_a_reply_received_is_made_when_it_is_read() -> None:
    """A channel may hand over what makes headers and trailers: it is called for the first reader, and once."""
    made: list[str] = []

    def late(key: str) -> Metadata:
        made.append(key)
        return Metadata({key: "1"})

    reply = Reply()
    reply.received(headers=lambda: late("a"), trailers=lambda: late("b"))
    assert made == []
    assert (reply.header_pairs(), reply.trailer_pairs()) == ([("a", "1")], [("b", "1")])
    reply.headers.add("c", "2")
    assert (reply.headers.items(), reply.trailers.items()) == ([("a", "1"), ("c", "2")], [("b", "1")])
    assert made == ["a", "b"]
    reply.received(headers=Metadata({"d": "3"}))
    assert (reply.headers.items(), reply.trailers.items()) == ([("d", "3")], [("b", "1")])


class Timer:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[float] = []
        self.expired = False
        self.others = False

    def interrupted(self) -> bool:
        return self.others

    def shorten(self, deadline: float) -> None:
        self.told.append(deadline)


async def test_deadline_counts_down() -> None:
    """Time left shrinks with the loop's clock and stops at nothing."""
    with FakeClock() as clock:
        it = call()
        it.shorten(10)
        assert it.remaining() == pytest.approx(10)
        await clock.advance(4)
        assert it.remaining() == pytest.approx(6)
        await clock.advance(40)
        assert it.remaining() == 0.0


async def test_deadlines_only_shorten() -> None:
    """A longer limit changes nothing and tells nobody; a shorter one takes over, with its name."""
    with FakeClock() as clock:
        timer = Timer()
        it = call()
        it.timed_by(timer, asyncio.get_running_loop())
        it.shorten(10, "server")
        it.shorten(20, "client")
        it.shorten(10, "client")
        assert (it.deadline, it.limit) == (clock() + 10, "server")
        it.shorten(5)
        assert (it.deadline, it.limit) == (clock() + 5, "method")
        assert timer.told == [clock() + 10, clock() + 5]


async def test_why_a_task_is_cancelled() -> None:
    """Time is up where the timer has interrupted the task, and nobody else has."""
    timer = Timer()
    it = call()
    assert (it.timed, it.overdue) == (False, False)
    it.timed_by(timer, asyncio.get_running_loop())
    assert (it.timed, it.overdue) == (True, False)
    timer.expired = True
    assert it.overdue
    timer.others = True
    assert not it.overdue
    it.untimed()
    assert (it.timed, it.overdue) == (False, False)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_the_shortest_limit_wins(limits: list[float]) -> None:
    """Whatever the order of limits, the smallest decides."""

    async def run() -> None:
        with FakeClock() as clock:
            it = call()
            for limit in limits:
                it.shorten(limit)
            assert it.deadline == min(clock() + limit for limit in limits)

    asyncio.run(run())


async def test_streamed_replies_pass_through_from_inside_out() -> None:
    """The innermost function, given last, sees a reply first; functions may be async."""
    sent: list[str] = []

    async def sink(reply: str) -> None:
        sent.append(reply)

    async def later(reply: str) -> str:
        await asyncio.sleep(0)
        return f"{reply}>inner"

    it = Call(STREAM, kind="memory", side="server", headers=Metadata(), sink=sink)
    it.each_reply(lambda reply: f"{reply}>outer")
    it.each_reply(later)
    await it.stream_reply("reply")
    assert sent == ["reply>inner>outer"]


async def test_a_unary_call_streams_nothing() -> None:
    """Streaming a reply where one reply is due is a defect of the program, and says so."""
    with pytest.raises(RuntimeError, match=r"/shop\.v1\.Orders/Get answers with one reply"):
        await call().stream_reply("reply")


async def test_current_call() -> None:
    """The current call is the one entered, per task, and restored on leaving."""
    assert current_call() is None
    outer, inner = call(), call()
    token = enter_call(outer)
    assert current_call() is outer

    async def other() -> tuple[Call | None, Call | None]:
        seen = current_call()
        enter_call(inner)
        return seen, current_call()

    assert await asyncio.create_task(other()) == (outer, inner)
    assert current_call() is outer
    leave_call(token)
    assert current_call() is None
