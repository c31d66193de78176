"""The bounded queue and its thread."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from kratos.log import queue as room
from kratos.log.queue import Queue


class Paper:
    """Takes batches; a list of failures makes the next writes fail."""

    def __init__(self, *failures: Exception) -> None:
        self.items: list[Any] = []
        self.lost = 0
        self.batches = 0
        self.failures = list(failures)
        self.written = threading.Event()

    def __call__(self, items: Sequence[Any], lost: int) -> None:
        if self.failures:
            raise self.failures.pop()
        self.items += items
        self.lost += lost
        self.batches += 1
        self.written.set()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "DRAIN_SECONDS", 0.001)
    monkeypatch.setattr(room, "IDLE_DRAINS", 2)


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread starts; whoever tests it runs it."""
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "kratos log"]


def test_a_thread_writes_and_ends_when_idle(hurried: None) -> None:
    """What is put is written by another thread, which ends by itself; the next item starts another one."""
    paper = Paper()
    queue = Queue(paper)
    for number in (1, 2):
        queue.put(number)
        assert paper.written.wait(30)
        for thread in threads():
            thread.join(30)
        assert not threads()
        paper.written.clear()
    assert paper.items == [1, 2]


def test_flush_writes_in_one_batch(still: None) -> None:
    """All that waits is one batch, in order; a flush of nothing writes nothing."""
    paper = Paper()
    queue = Queue(paper)
    for number in range(5):
        queue.put(number)
    assert queue.flush()
    assert queue.flush()
    assert (paper.items, paper.batches) == ([0, 1, 2, 3, 4], 1)


def test_what_does_not_fit_is_counted(still: None) -> None:
    """A full queue loses the newest items and says how many."""
    paper = Paper()
    queue = Queue(paper, limit=3)
    for number in range(8):
        queue.put(number)
    queue.flush()
    queue.put(8)
    queue.flush()
    assert (paper.items, paper.lost) == ([0, 1, 2, 8], 5)


def test_a_failing_write_is_a_loss(still: None) -> None:
    """What could not be written is counted and reported by the next write that works."""
    paper = Paper(OSError("full"), ValueError("closed"))
    queue = Queue(paper)
    queue.put(1)
    queue.flush()
    queue.flush()
    queue.put(2)
    queue.flush()
    assert (paper.items, paper.lost) == ([2], 1)


def test_flush_does_not_wait_for_ever(still: None) -> None:
    """A flush with a timeout gives up while somebody else is writing."""
    paper = Paper()
    queue = Queue(paper)
    queue.put(1)
    with queue._writing:
        assert not queue.flush(0.001)
    assert queue.flush(0.001)
    assert paper.items == [1]


def test_an_item_that_comes_as_the_thread_ends_is_written(still: None) -> None:
    """The thread looks once more after it has said that it is no longer running."""
    paper = Paper()
    queue = Queue(paper)
    queue.put(1)
    stopping = threading.Event()
    stopping.set()
    queue._run(stopping)
    assert paper.items == [1]
    assert not queue._running


def test_only_one_thread_starts(still: None) -> None:
    """Two that find no thread at the same time start one."""
    queue = Queue(Paper())
    queue.put(1)
    first = queue._stopping
    queue._start()
    assert queue._stopping is first


def test_without_a_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can start, as at the end of the interpreter, an item is written at once."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    paper = Paper()
    queue = Queue(paper)
    queue.put(1)
    queue.put(2)
    assert paper.items == [1, 2]


def test_close_writes_and_ends_the_thread() -> None:
    """Closing leaves neither items nor a thread, and the queue goes on working."""
    paper = Paper()
    queue = Queue(paper)
    for number in (1, 2):
        queue.put(number)
        running = threads()
        queue.close()
        for thread in running:
            thread.join(30)
    assert paper.items == [1, 2]
    assert queue not in room._busy


def test_a_fork_leaves_the_parents_items(still: None) -> None:
    """In a forked child the parent's items are forgotten and a new thread is due."""
    paper = Paper()
    queue = Queue(paper)
    queue.put(1)
    room._forget_all()
    assert not queue._running
    queue.put(2)
    queue.flush()
    assert paper.items == [2]


def test_what_the_end_of_the_process_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queues with a thread at work are flushed."""
    monkeypatch.setattr(room, "DRAIN_SECONDS", 60)
    monkeypatch.setattr(room, "_exit", room._Exit())
    paper = Paper()
    queue = Queue(paper)
    queue.put(1)
    room._flush_all()
    assert paper.items == [1]
    assert 0 <= room._exit.left() <= room.EXIT_SECONDS
    queue.forget()


def test_what_was_lost_is_counted_for_ever(still: None) -> None:
    """The number of what was lost since the start only grows."""
    queue = Queue(Paper(OSError("full")), limit=2)
    for number in range(5):
        queue.put(number)
    queue.lose()
    assert queue.dropped == 4
    queue.flush()
    assert queue.dropped == 6
    queue.flush()
    assert queue.dropped == 6


def test_a_reader_who_does_not_read_keeps_nobody() -> None:
    """Closing gives up in time, and what waits is not lost."""
    held, reading = threading.Event(), threading.Event()
    taken: list[int] = []

    def write(items: Sequence[int], lost: int) -> None:
        reading.set()
        held.wait()
        taken.extend(items)

    queue = Queue(write)
    queue.put(1)
    assert reading.wait(30)
    queue.put(2)
    assert not queue.close(0.01)
    held.set()
    assert queue.close(30)
    assert taken == [1, 2]
    assert queue.close(0)


EXIT = """
from kratos.log import queue
queue.DRAIN_SECONDS = 60
lines = queue.Queue(lambda items, lost: print(*items, flush=True))
lines.put("last words")
"""

FORK = """
import os
from kratos.log import queue
queue.DRAIN_SECONDS = 60
lines = queue.Queue(lambda items, lost: print(*items, flush=True))
lines.put("parent")
child = os.fork()
if not child:
    lines.put("child")
    lines.flush()
    os._exit(0)
os.waitpid(child, 0)
"""


def test_the_end_of_the_process_writes_what_waits() -> None:
    """Items that wait when the interpreter ends are written."""
    done = subprocess.run([sys.executable, "-c", EXIT], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "last words\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_after_a_fork_each_process_writes_its_own() -> None:
    """Nothing is lost or written twice."""
    script = [sys.executable, "-W", "ignore", "-c", FORK]
    done = subprocess.run(script, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "child\nparent\n"
