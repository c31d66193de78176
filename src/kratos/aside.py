"""``Aside``: a thread for what blocks and must not wait for others who block.

The event loop's own pool of threads is everybody's: handlers that block fill it, and what looks at a process in trouble
would wait behind them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

__all__ = ["Aside"]

P = ParamSpec("P")
T = TypeVar("T")


class Aside:
    """One thread, which starts when it is first needed and ends when nobody has this any more.

    Args:
        name: What the thread is called.
    """

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)

    async def __call__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns what work returns, or raises what it raises; one at a time."""
        done = self._thread.submit(work, *args, **kwargs)
        return await asyncio.wrap_future(done)
