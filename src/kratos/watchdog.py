"""The watchdog: tells a developer which ``async def`` keeps the event loop from everybody else, while it does.

A thread asks the loop for a sign of life, and looks at the stack of the loop's thread when none comes. An idle loop on
a busy machine has no coroutine on its stack, so it is never accused.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import Final

from kratos.call import Call
from kratos.development import has_debugger

__all__ = ["LONGEST_SECONDS", "Watchdog"]

logger = logging.getLogger("kratos.watchdog")

LONGEST_SECONDS: Final = 0.2
"""How long the event loop may stand still before somebody is told."""

_EVERY_SECONDS: Final = 0.05
_AGAIN_SECONDS: Final = 60.0  # before the same function is told of again
# The time is waited for in parts: a process that was suspended meanwhile has the others left to answer in.
_PARTS: Final = 4
_COROUTINES: Final = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_DEBUGGERS: Final = frozenset({"bdb", "pdb", "pydevd"})


class Watchdog:
    """Watches one event loop at a time, between ``start`` and ``stop``, which are called in that loop."""

    def __init__(self) -> None:
        self._watched = 0
        self._stopped = threading.Event()
        self._answered = threading.Event()
        self._told: dict[tuple[str, str], float] = {}
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to watch the running event loop."""
        self._watched = threading.get_ident()
        self._stopped.clear()
        run, loop = self._run, asyncio.get_running_loop()
        self._thread = threading.Thread(target=run, args=(loop,), name="kratos watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; nobody is told of anything afterwards. Does nothing if it was not started."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stopped.set()
            self._answered.set()  # wakes the thread up, whatever it waits for
            thread.join()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._stopped.wait(_EVERY_SECONDS):
            self._answered.clear()
            if self._stopped.is_set():  # between the two lines above; from here on stop() also answers
                return
            asked = time.monotonic()
            try:
                loop.call_soon_threadsafe(self._answered.set)
            except RuntimeError:  # it is closed
                return
            if not any(self._answered.wait(LONGEST_SECONDS / _PARTS) for _ in range(_PARTS)):
                self._look(asked)
            while not self._answered.wait(1.0):
                if loop.is_closed():
                    return

    def _look(self, asked: float) -> None:
        """Says where the loop's thread is, if that is in a coroutine."""
        stack = _stack(sys._current_frames().get(self._watched))
        at = next((index for index, frame in enumerate(stack) if frame.f_code.co_flags & _COROUTINES), None)
        if at is None or _debugged(stack):
            return
        code, line, call = stack[at].f_code, stack[at].f_lineno, _call(stack[at:])
        if self._answered.is_set():  # what is seen there may be somebody else's
            return
        now = time.monotonic()
        where = code.co_filename, code.co_qualname
        if now - self._told.get(where, -_AGAIN_SECONDS) < _AGAIN_SECONDS:
            return
        self._told[where] = now
        logger.warning(
            "the event loop has stood still for %.1f s in %s (%s:%d), and everybody else waits: make it a plain `def` "
            "with @blocking from kratos.service, or hand what blocks to asyncio.to_thread()",
            now - asked,
            code.co_qualname,
            code.co_filename,
            line,
            extra={} if call is None else {"operation": call.operation.name},
        )


def _stack(frame: FrameType | None) -> list[FrameType]:
    """Returns the frames of a stack, the innermost one first."""
    frames: list[FrameType] = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


def _call(stack: Sequence[FrameType]) -> Call | None:
    """Returns the call that is being served: whatever serves one has it in a variable."""
    for frame in stack:
        for thing in list(frame.f_locals.values()):
            # By its type alone: isinstance() may run code of the thing.
            call: Call | None = thing if issubclass(type(thing), Call) else None
            if call is not None and call.side == "server":
                return call
    return None


def _debugged(stack: Sequence[FrameType]) -> bool:
    """Whether somebody sits at a debugger.

    sys.gettrace() knows that of its own thread only, and of measuring coverage as well.
    """
    return has_debugger() or any(frame.f_globals.get("__name__") in _DEBUGGERS for frame in stack)
