"""Tasks, threads and calls: what the process is doing right now. Names and places in code, never a value."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from types import CodeType, FrameType
from typing import Any, Final

from kratos.admin.sheet import LONGEST, Cell, Sheet, Table
from kratos.call import AppInfo
from kratos.masking import MASK, masked
from kratos.transport.flight import Flight, awaited, flight

__all__ = ["MOST_ROWS", "frame_name", "show_calls", "show_stacks", "show_tasks"]

MOST_ROWS: Final = 200
"""Rows of a table."""

_MOST_GROUPS: Final = 50
_DEEPEST: Final = 40
_AT_ONCE: Final = 250  # tasks, before everybody else gets a turn
# Long words of letters and digits look like keys, and so does all that stands behind an equals sign.
_TOKEN: Final = re.compile(r"(?<![\w+~-])(?!Task-\d+\b)(?=[\w+~-]*\d)(?=[\w+~-]*[^\W\d_])[\w+~-]{12,}=*|(?<==)\S+")


async def show_tasks() -> Sheet:
    """Returns the tasks of the event loop: how many there are of each kind, and where some of them wait."""
    groups: Counter[str] = Counter()
    rows: list[tuple[Cell, ...]] = []
    total = 0
    async for task in _all():
        total += 1
        groups[_work(task)] += 1
        if len(rows) < MOST_ROWS:
            rows.append((_name(task.get_name()), _work(task), _waits(task)))
    common = groups.most_common(_MOST_GROUPS)
    return Sheet(
        facts={"tasks": total},
        tables={
            "by coroutine": Table(("coroutine", "tasks"), common, len(groups) - len(common)),
            "tasks": Table(("name", "coroutine", "waits at"), sorted(rows, key=str), total - len(rows)),
        },
        note="Names are shown without what looks like a secret in them.",
    )


async def show_calls(own: AppInfo) -> Sheet:
    """Returns the calls that are being served.

    Args:
        own: Who serves our own pages, which are left out.
    """
    found: list[Flight] = []
    async for task in _all():
        with suppress(RuntimeError):  # it went on meanwhile, and its frames with it
            one = flight(task)
            if one is not None and one.call.app is not own:
                found.append(one)
    now = asyncio.get_running_loop().time()
    found.sort(key=lambda one: one.began)
    rows = [_call(one, now) for one in found[:MOST_ROWS]]
    columns = ("operation", "kind", "age", "time left", "limit", "peer")
    return Sheet(
        facts={"calls in flight": len(found), "oldest": now - found[0].began if found else None},
        tables={"calls": Table(columns, rows, len(found) - len(rows))},
        note="The oldest first. Nothing of what they carry is shown.",
    )


async def show_stacks() -> Sheet:
    """Returns where each thread is."""
    frames = sys._current_frames()
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    shown = list(frames.items())[:_MOST_GROUPS]
    tables = {
        f"{number} {_name(names.get(ident, 'a thread of others'))}": _stack(frame)
        for number, (ident, frame) in enumerate(shown, 1)
    }
    return Sheet(
        facts={"threads": len(frames), "shown": len(shown)}, tables=tables, note="The innermost function is first."
    )


def frame_name(code: CodeType, module: object) -> str:
    """Returns what a function is called: its module and its name."""
    return f"{module}.{code.co_qualname}" if isinstance(module, str) else code.co_qualname


async def _all() -> AsyncIterator[asyncio.Task[Any]]:
    """Yields all tasks that are not done, and lets others run in between."""
    for number, task in enumerate(asyncio.all_tasks(), 1):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
        if not task.done():
            yield task


def _work(task: asyncio.Task[Any]) -> str:
    work = task.get_coro()
    return str(getattr(work, "__qualname__", type(work).__name__))


def _waits(task: asyncio.Task[Any]) -> str:
    """Returns the innermost place of a task that is known."""
    frames = [frame for _, frame in awaited(task) if frame is not None]
    return _place(frames[-1]) if frames else ""


def _place(frame: FrameType) -> str:
    return f"{frame_name(frame.f_code, frame.f_globals.get('__name__'))}:{frame.f_lineno}"


def _stack(frame: FrameType | None) -> Table:
    places: list[tuple[Cell, ...]] = []
    while frame is not None and len(places) < _DEEPEST:
        places.append((_place(frame),))
        frame = frame.f_back
    left_out = 0
    while frame is not None:
        left_out += 1
        frame = frame.f_back
    return Table(("function",), places, left_out)


def _call(one: Flight, now: float) -> tuple[Cell, ...]:
    call = one.call
    left = None if call.deadline is None else max(0.0, call.deadline - now)
    return (call.operation.name, call.kind, now - one.began, left, call.limit or "", call.peer.address)


def _name(name: str) -> str:
    """Returns a name that somebody has given, without what may be a secret: people build names of what they have."""
    return _TOKEN.sub(MASK, masked(name, LONGEST))
