"""A bounded queue of lines and one thread that writes them: whoever has something to say pays for an append.

The thread wakes up every 50 ms and writes what has come in one go. It ends when nothing comes, and the next line starts
another one, so an idle process has no such thread. (Measured: this costs a call a third of the CPU that a queue handler
and a queue listener of ``logging`` cost it, whose thread wakes up for every line.)
"""

from __future__ import annotations

import atexit
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

__all__ = ["Queue"]

T = TypeVar("T")

DRAIN_SECONDS = 0.05
IDLE_DRAINS = 20
"""After so many drains that found nothing the thread ends."""

EXIT_SECONDS = 2.0
"""How long the end of the process may wait for a reader who does not read."""


class Queue(Generic[T]):
    """Takes items from any thread and hands them to ``write`` in batches, in another one.

    Args:
        write: Called with the items that came since the last time, in order, and with the number of items that were
            lost meanwhile; never by two threads at once. What it raises is dropped along with the batch, which then
            counts as lost.
        limit: How many items may wait. Further ones are lost, and counted.
    """

    def __init__(self, write: Callable[[Sequence[T], int], None], *, limit: int = 10_000) -> None:
        self._write = write
        self._limit = limit
        self._items: deque[T] = deque()
        self._running = False
        self._stopping = threading.Event()
        self._dropped = 0
        self._reset()

    @property
    def dropped(self) -> int:
        """How many items were lost since the queue was made: there was no room, or writing them failed."""
        return self._dropped

    def put(self, item: T) -> None:
        """Appends an item; never waits and never raises."""
        if len(self._items) >= self._limit:
            self.lose()
            return
        self._items.append(item)
        if not self._running:
            self._start()

    def lose(self) -> None:
        """Counts an item that could not be made, as lost."""
        with self._counting:
            self._lost += 1
            self._dropped += 1

    def flush(self, timeout: float | None = None) -> bool:
        """Hands over, in this thread, what waits, and so waits itself for whoever takes it.

        Args:
            timeout: Seconds to wait while another thread is writing; None is for ever.

        Returns:
            False if that other thread was not done in time.
        """
        if not self._writing.acquire(timeout=-1 if timeout is None else timeout):
            return False
        try:
            self._drain()
        finally:
            self._writing.release()
        return True

    def close(self, timeout: float = EXIT_SECONDS) -> bool:
        """Hands over what waits and lets the thread end. A later ``put`` starts another one.

        Args:
            timeout: Seconds that this may take; whoever takes the items may have stopped to. At the end of the process
                all queues together have two.

        Returns:
            False if it was not done in time; what is left waits on.
        """
        self._stopping.set()
        if not self._items and not self._lost and not self._writing.locked():
            return True
        # Not in this thread: a write into a pipe that nobody reads cannot be given up.
        flushing = threading.Thread(target=self.flush, name="kratos log", daemon=True)
        try:
            flushing.start()
        except RuntimeError:  # The process is ending or has no thread to give.
            return self.flush(timeout)
        flushing.join(min(timeout, _exit.left()))
        return not flushing.is_alive()

    def _reset(self) -> None:
        self._writing = threading.Lock()
        self._counting = threading.Lock()
        self._lost = 0

    def _start(self) -> None:
        with self._counting:
            if self._running:
                return
            self._running = True
            self._stopping = stopping = threading.Event()
            _busy.add(self)
        try:
            threading.Thread(target=self._run, args=(stopping,), name="kratos log", daemon=True).start()
        except RuntimeError:  # The process is ending or has no thread to give: write here and now.
            self._ended()
            self.flush()

    def _run(self, stopping: threading.Event) -> None:
        idle = 0
        while idle < IDLE_DRAINS and not stopping.wait(DRAIN_SECONDS):
            idle = 0 if self._items else idle + 1
            self.flush()
        self._ended()
        # Whoever came before the line above has not started a thread: it saw this one running.
        self.flush()

    def _ended(self) -> None:
        _busy.discard(self)
        self._running = False

    def _drain(self) -> None:
        """Hands over what waits; only with the lock held."""
        items = self._items
        # Only as many as there are now: somebody who never stops putting must not keep whoever flushes.
        batch = [items.popleft() for _ in range(len(items))]
        with self._counting:
            lost, self._lost = self._lost, 0
        if not batch and not lost:
            return
        try:
            self._write(batch, lost)
        except Exception:
            # There is nobody to tell: the place for complaints is what has just failed. The next batch reports it.
            with self._counting:
                self._lost += lost + len(batch)
                self._dropped += len(batch)

    def forget(self) -> None:
        """Makes this queue usable in a forked child, where its thread is gone and its items belong to the parent."""
        self._items.clear()
        self._reset()
        self._ended()


# Queues with a thread at work, because what waits in them must outlive the thread, which ends with the interpreter.
_busy: set[Queue[Any]] = set()


class _Exit:
    """How long the process may still take to end, once it has begun to."""

    def __init__(self) -> None:
        self._end = math.inf

    def begin(self) -> None:
        self._end = time.monotonic() + EXIT_SECONDS

    def left(self) -> float:
        return threading.TIMEOUT_MAX if self._end == math.inf else max(0.0, self._end - time.monotonic())


_exit = _Exit()


def _flush_all() -> None:
    _exit.begin()
    for queue in list(_busy):
        queue.close()


def _forget_all() -> None:
    for queue in list(_busy):
        queue.forget()


atexit.register(_flush_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
