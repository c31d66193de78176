"""A read is never older than the last invalidation, however loads, stores and those who leave are interleaved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from unit.cache.law import Step, broken, plays, some_plays
from unit.cache.stores import CarelessStore, FarStore

from kratos.cache import Cache, MemoryStore, TwoLevelStore
from kratos.cache.base import Store

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


def test_the_law_can_be_broken() -> None:
    """By a store that keeps whatever it is given."""

    async def play(steps: list[Step]) -> list[str]:
        store = CarelessStore(turns=3)
        return await broken([Cache(store) for _ in range(3)], steps)

    assert any(asyncio.run(play(steps)) for steps in some_plays(50, 3, seed=1))
