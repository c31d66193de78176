"""A read is never older than the last invalidation, however loads, stores and those who leave are interleaved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.cache import law
from unit.cache.law import KEYS, TROUBLE, Repository, Source, Step, Trouble, broken, plays, some_plays
from unit.cache.stores import CarelessStore, FarStore, Marks

from kratos.cache import Cache, MemoryStore, TwoLevelStore
from kratos.cache.base import Store
from kratos.testing import FakeClock
from kratos.tools.caching import writing
from kratos.tools.caching.reading import read

STORES: dict[str, Callable[[], Store]] = {
    "memory": MemoryStore,
    "tiny": lambda: MemoryStore(limit=1),
    "far": lambda: FarStore(turns=3),
    "two levels": lambda: TwoLevelStore(MemoryStore(limit=2), FarStore(turns=3)),
}


@pytest.mark.parametrize("store", [*STORES])
@settings(max_examples=150)
@given(steps=plays(1))
def test_in_one_process(store: str, steps: list[Step]) -> None:
    assert asyncio.run(broken([Cache(STORES[store]())], steps)) == []


@settings(max_examples=200)
@given(steps=plays(3))
def test_among_processes(steps: list[Step]) -> None:
    async def play() -> list[str]:
        store = FarStore(turns=3)
        return await broken([Cache(store) for _ in range(3)], steps)

    assert asyncio.run(play()) == []


async def _troubled(processes: int, steps: list[Step], make: Callable[[Source, Cache], Any] = Repository) -> list[str]:
    store = FarStore(turns=3, inner=Marks())
    trouble = Trouble(store)
    with FakeClock() as clock:
        caches = [trouble.cache() for _ in range(processes)]
        playing = asyncio.create_task(broken(caches, steps, beat=0.05, make=make, trouble=trouble))
        while not playing.done():
            await clock.advance(0.05)
        return await playing


@pytest.mark.parametrize("processes", [1, 3])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_in_trouble(processes: int, data: st.DataObject) -> None:
    """The store goes and comes back, processes are restarted, and loads outlast what is remembered of invalidations."""
    assert asyncio.run(_troubled(processes, data.draw(plays(processes, TROUBLE, KEYS[:1])))) == []


@settings(max_examples=100, deadline=None)
@given(steps=plays(2, TROUBLE, KEYS[:1]))
def test_generated_classes(written: Callable[[Source, Cache], Any], steps: list[Step]) -> None:
    assert asyncio.run(_troubled(2, steps, written)) == []


@pytest.fixture(scope="module")
def written() -> Callable[[Source, Cache], Any]:
    """What ``kratos cache`` writes for ``law.Rows``."""
    module = read(Path(law.__file__))
    text = writing.written(module, 120).replace("from law import", "from unit.cache.law import")
    space: dict[str, Any] = {"__name__": "written"}
    exec(text, space)  # noqa: S102 - what is under test
    made: Callable[[Source, Cache], Any] = space["CachedRows"]
    return made


def test_the_law_can_be_broken() -> None:
    """By a store that keeps whatever it is given."""

    async def play(steps: list[Step]) -> list[str]:
        store = CarelessStore(turns=3)
        return await broken([Cache(store) for _ in range(3)], steps)

    assert any(asyncio.run(play(steps)) for steps in some_plays(50, 3, seed=1))
