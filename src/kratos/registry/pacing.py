"""Work on thousands of things in slices, so that the event loop is never kept for long."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from time import perf_counter
from typing import Final, TypeVar

__all__ = ["batches", "paced"]

SLICE_SECONDS: Final = 0.0005
"""How long others wait at most, by and large, while ten thousand things are looked at."""

_BATCH: Final = 100  # what takes less than a microsecond for each is not worth a look at the clock each time

T = TypeVar("T")


async def paced(steps: Iterable[None]) -> None:
    """Takes all steps, and lets others run between them."""
    end = perf_counter() + SLICE_SECONDS
    for _ in steps:
        if perf_counter() > end:
            await asyncio.sleep(0)
            end = perf_counter() + SLICE_SECONDS


def batches(things: Sequence[T], size: int = _BATCH) -> Iterator[Sequence[T]]:
    """Returns a sequence in pieces: one step's work each, where that is little."""
    for at in range(0, len(things), size):
        yield things[at : at + size]
