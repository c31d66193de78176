"""Work on thousands of things in slices, so that the event loop is never kept for long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Final, TypeVar

__all__ = ["apart", "batches", "few_at_a_time", "paced"]

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


async def apart(keys: Sequence[str], known: Mapping[str, T]) -> tuple[dict[str, T], list[str]]:
    """Returns what is known of some keys, and the keys of which nothing is; nobody may change ``known`` meanwhile."""
    found: dict[str, T] = {}
    unknown: list[str] = []
    await paced(_telling_apart(keys, known, found, unknown))
    return found, unknown


def _telling_apart(
    keys: Sequence[str], known: Mapping[str, T], found: dict[str, T], unknown: list[str]
) -> Iterator[None]:
    for some in batches(keys):
        for key in some:
            if key in known:
                found[key] = known[key]
            else:
                unknown.append(key)
        yield


async def few_at_a_time(things: Sequence[T], work: Callable[[T], Awaitable[object]], limit: int) -> None:
    """Does some work for each of many things, for so many of them at a time; the first failure ends it."""
    left = iter(things)

    async def take_turns() -> None:
        for each in left:
            await work(each)

    workers = [asyncio.create_task(take_turns()) for _ in things[:limit]]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
