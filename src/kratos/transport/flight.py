"""Calls under way, found when somebody asks: the tasks of the event loop are looked through, and no call pays for it.

A call is served by ``Dispatcher.dispatch``, so whichever task stands in that coroutine has one in its variables. Where
a task stands is followed by what each of its coroutines awaits.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any, Final, NamedTuple

from kratos.call import Call
from kratos.transport.deadline import Watch
from kratos.transport.dispatch import Dispatcher

__all__ = ["Flight", "awaited", "flight"]

_DISPATCH: Final = Dispatcher.dispatch.__code__
_DEEPEST: Final = 60
_FRAMES: Final = ("cr_frame", "gi_frame", "ag_frame")
_AWAITED: Final = ("cr_await", "gi_yieldfrom", "ag_await")
# What Python itself puts between two coroutines, and shows to nobody but the garbage collector.
_BETWEEN: Final = frozenset({"coroutine_wrapper", "async_generator_asend", "async_generator_athrow", "anext_awaitable"})


class Flight(NamedTuple):
    """A call under way.

    Attributes:
        call: The call.
        began: When it was dispatched, in the event loop's time.
    """

    call: Call
    began: float


def awaited(task: asyncio.Task[Any]) -> Iterator[tuple[Any, FrameType | None]]:
    """Yields the coroutines of a task, the outermost one first, each with its frame if it has one.

    The task must belong to the running event loop.
    """
    at: Any = task.get_coro()
    for _ in range(_DEEPEST):
        if type(at).__name__ in _BETWEEN:
            at = next((each for each in gc.get_referents(at) if _of(each, _FRAMES) is not None), None)
        if at is None:
            return
        yield at, _of(at, _FRAMES)
        at = _of(at, _AWAITED)


def flight(task: asyncio.Task[Any]) -> Flight | None:
    """Returns the call that a task of the running event loop is serving, None if it serves none."""
    for _, frame in awaited(task):
        if frame is not None and frame.f_code is _DISPATCH:
            call, watch = frame.f_locals.get("call"), frame.f_locals.get("watch")
            if isinstance(call, Call) and isinstance(watch, Watch):
                return Flight(call, watch.began)
    return None


def _of(thing: Any, names: Iterable[str]) -> Any:
    """Returns the first of some attributes that is there and not None."""
    return next((found for name in names if (found := getattr(thing, name, None)) is not None), None)
