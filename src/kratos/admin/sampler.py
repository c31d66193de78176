"""The sampler: looks at the stacks of all threads a hundred times a second, and counts those that have used the CPU.

It is a thread that reads ``sys._current_frames``, so what is looked at runs as it always does: ``cProfile`` hooks into
each call of a function, and makes small ones several times as slow. Linux tells how long each thread has run; elsewhere
threads that stand in a function known for waiting are left out.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import CodeType, FrameType
from typing import Final

from kratos.admin.tasks import frame_name

__all__ = ["EVERY_SECONDS", "Sampler"]

EVERY_SECONDS: Final = 0.01
"""From one look to the next."""

_DEEPEST: Final = 120
_MOST_STACKS: Final = 5000
_REST: Final = ("(further stacks)",)
_RUNS: Final = 0.05 * EVERY_SECONDS * 1e9  # nanoseconds on a CPU since the last look
_WAITS: Final = frozenset(
    {"selectors", "threading", "queue", "socket", "ssl", "concurrent.futures.thread", "asyncio.runners"}
)


class Sampler:
    """Counts stacks for a while, in a thread of its own.

    Args:
        seconds: For how long.
        done: Called in that thread when it is over.

    Attributes:
        stacks: What was counted so far, the outermost function first.
        looks: How often it has looked.
        exact: Whether the system tells which threads run.
    """

    def __init__(self, seconds: float, done: Callable[[], object]) -> None:
        self.stacks: Counter[tuple[str, ...]] = Counter()
        self.looks = 0
        self.exact = False
        self._seconds = seconds
        self._done = done
        self._enough = threading.Event()
        self._clocks = _Clocks()
        self._names: dict[CodeType, str] = {}
        self._thread = threading.Thread(target=self._run, name="kratos profile", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it early; returns when the thread has ended."""
        self._enough.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        end = time.monotonic() + self._seconds
        try:
            self._clocks.ran(threading.enumerate())
            while time.monotonic() < end and not self._enough.wait(EVERY_SECONDS):
                self._look()
        finally:
            self.exact = self._clocks.known
            self._clocks.close()
            self._done()

    def _look(self) -> None:
        self.looks += 1
        threads = threading.enumerate()
        ran = self._clocks.ran(threads)
        names = {thread.ident: thread.name for thread in threads}
        own = threading.get_ident()
        for ident, frame in sys._current_frames().items():
            if ident == own or ident not in names:
                continue
            if ident in ran if self._clocks.known else frame.f_globals.get("__name__") not in _WAITS:
                stack = self._stack(frame)
                known = stack in self.stacks or len(self.stacks) < _MOST_STACKS
                self.stacks[stack if known else _REST] += 1

    def _stack(self, frame: FrameType | None) -> tuple[str, ...]:
        names: list[str] = []
        while frame is not None and len(names) < _DEEPEST:
            name = self._names.get(frame.f_code)
            if name is None:
                name = frame_name(frame.f_code, frame.f_globals.get("__name__")).replace(";", ",")
                self._names[frame.f_code] = name
            names.append(name)
            frame = frame.f_back
        return tuple(reversed(names))


class _Clocks:
    """How long threads were on a CPU, by what Linux says in ``/proc``.

    Attributes:
        known: Whether it says so.
    """

    def __init__(self) -> None:
        self.known = os.path.exists("/proc/thread-self/schedstat")
        self._files: dict[int, int] = {}
        self._before: dict[int, int] = {}

    def ran(self, threads: list[threading.Thread]) -> set[int]:
        """Returns which threads have run since the last look, as Python's numbers of them."""
        found: set[int] = set()
        if not self.known:
            return found
        for thread in threads:
            number, ident = thread.native_id, thread.ident
            if number is None or ident is None:
                continue
            spent = self._read(number)
            if spent - self._before.get(number, spent) > _RUNS:
                found.add(ident)
            self._before[number] = spent
        return found

    def _read(self, number: int) -> int:
        try:
            if number not in self._files:
                self._files[number] = os.open(f"/proc/self/task/{number}/schedstat", os.O_RDONLY)
            return int(os.pread(self._files[number], 64, 0).split()[0])
        except (OSError, ValueError, IndexError):  # it has ended
            return 0

    def close(self) -> None:
        while self._files:
            with suppress(OSError):
                os.close(self._files.popitem()[1])
