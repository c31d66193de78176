"""The watchdog's eyes: whom it names, and whom it leaves alone. The stacks here are real, and held for as long."""

from __future__ import annotations

import logging
import sys
import threading
import types
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kratos.call import Call
from kratos.metadata import Metadata
from kratos.operation import Unary
from kratos.watchdog import Watchdog

HELD = threading.Event()
"""What the coroutines here wait for."""


@contextmanager
def standing(work: Callable[[], Any]) -> Iterator[Watchdog]:
    """Runs something in a thread until the block is left, watched by hand."""
    HELD.clear()
    thread = threading.Thread(target=work)
    watchdog = Watchdog()
    try:
        thread.start()
        assert thread.ident is not None
        watchdog._watched = thread.ident
        while not any(frame.f_code is hold.__code__ for frame in stack(thread.ident)):
            pass
        yield watchdog
    finally:
        HELD.set()
        thread.join()


def stack(ident: int) -> Iterator[types.FrameType]:
    """Yields the frames of a thread."""
    frame = sys._current_frames().get(ident)
    while frame is not None:
        yield frame
        frame = frame.f_back


def hold() -> None:
    assert HELD.wait(60)


def step(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Does what a task does, once."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


async def blocks() -> None:
    hold()


async def awaits() -> None:
    await blocks()


async def streams() -> AsyncIterator[int]:
    hold()
    yield 1


async def reads() -> None:
    await anext(streams())


def reads_a_command() -> None:
    hold()


async def served(call: Call, client: Call) -> None:
    await blocks()


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    def messages() -> list[str]:
        return [each.getMessage() for each in caplog.records if each.name == "kratos.watchdog"]

    return messages


@pytest.mark.parametrize(
    ("work", "name", "line"), [(awaits, "blocks", blocks), (reads, "streams", streams)], ids=["coroutine", "generator"]
)
def test_the_innermost_coroutine_is_named(work: Any, name: str, line: Any, told: Any) -> None:
    """It is named with the line where it stands, not the one where it begins, nor what it calls or is called by."""
    with standing(lambda: step(work())) as watchdog:
        watchdog._look(0.0)
    (message,) = told()
    assert f" in {name} ({__file__}:{line.__code__.co_firstlineno + 1})" in message
    assert "@blocking" in message
    assert "asyncio.to_thread" in message


def test_the_call_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """The operation is that of the call that is served, not of one that it makes."""
    ours = Call(Unary("/a/Ours", int, int), kind="grpc", side="server", headers=Metadata())
    other = Call(Unary("/a/Other", int, int), kind="grpc", side="client", headers=Metadata())
    with standing(lambda: step(served(ours, other))) as watchdog:
        watchdog._look(0.0)
    (record,) = caplog.records
    assert vars(record)["operation"] == "/a/Ours"
    assert record.levelno == logging.WARNING


def test_a_place_is_told_once(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same function is not told of again, until a minute has passed."""
    now = 1000.0
    monkeypatch.setattr("kratos.watchdog.time.monotonic", lambda: now)
    with standing(lambda: step(awaits())) as watchdog:
        watchdog._look(now)
        watchdog._look(now)
        assert len(told()) == 1
        now += 61.0
        watchdog._look(now)
    assert len(told()) == 2


def test_no_coroutine_no_word(told: Any) -> None:
    """A loop that stands in no coroutine is one that gets no time on a busy machine, or is at its start or end."""
    with standing(hold) as watchdog:
        watchdog._look(0.0)
        watchdog._watched = -1  # a thread that is gone
        watchdog._look(0.0)
    assert told() == []


def test_late_is_not_never(told: Any) -> None:
    """What is seen after the loop has answered may be innocent."""
    with standing(lambda: step(awaits())) as watchdog:
        watchdog._answered.set()
        watchdog._look(0.0)
    assert told() == []


def test_debuggers_may_stop_the_loop(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sits at a breakpoint knows that the loop stands still."""

    async def stops() -> None:
        types.FunctionType(reads_a_command.__code__, {"__name__": "pdb", "hold": hold})()

    with standing(lambda: step(stops())) as watchdog:
        watchdog._look(0.0)
    with standing(lambda: step(awaits())) as watchdog:
        monkeypatch.setitem(sys.modules, "pydevd", types.ModuleType("pydevd"))
        watchdog._look(0.0)
    assert told() == []
