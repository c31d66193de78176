"""Cached methods of classes: inherited, overridden, of copies, and those that ask others of the same cache."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pytest
from unit.cache.stores import FarStore

from kratos.cache import Cache, MemoryStore, cached

T = TypeVar("T")


@dataclass
class Names:
    """Names in one language."""

    cache: Cache
    language: str = "en"

    @cached("name:{language}:{id}", ttl=60)
    async def of(self, id: int, language: str) -> str:
        return f"{self.language} {id}"

    @cached("name:{id}", ttl=60, single_flight=False)
    async def name(self, id: int) -> str:
        return f"{self.language} {id}"


class Titled(Names):
    async def name(self, id: int) -> str:  # type: ignore[override]  # what is under test
        return f"Dr. {await super().name(id)}"


class Kept(Names):
    @cached("title:{id}", ttl=60)
    async def name(self, id: int) -> str:
        return f"Dame {await super().name(id)}"


@pytest.mark.parametrize(("kind", "title"), [(Titled, "Dr."), (Kept, "Dame")])
async def test_an_override_stays_one(kind: type[Names], title: str) -> None:
    """Also after it has asked the method that it overrides, which is cached."""
    names = kind(Cache(MemoryStore()))
    assert [await names.name(number) for number in (1, 1, 2)] == [f"{title} en 1", f"{title} en 1", f"{title} en 2"]


def classes(base: type[Names]) -> type[Names]:
    class Named(base):  # type: ignore[misc, valid-type]  # a class for each base
        @cached("{id}:{depth}", ttl=60)
        async def deep(self, id: int, depth: int = 0) -> str:
            above = getattr(super(), "deep", None)
            return f"{id}" if above is None else f"{await above(id, depth + 1)}, {depth}"

    return Named


async def test_classes_of_one_name() -> None:
    """Made by one function, one below the other."""
    names = classes(classes(Names))(Cache(MemoryStore()))
    for _ in range(2):
        assert await names.deep(1) == "1, 0"  # type: ignore[attr-defined]


async def test_a_copy_has_methods_of_its_own() -> None:
    first = Names(Cache(MemoryStore()))
    assert await first.name(1) == "en 1"
    second = copy.copy(first)
    second.language, second.cache = "de", Cache(MemoryStore())
    assert await second.name(1) == "de 1"
    assert await first.name(2) == "en 2"
    assert second.name is second.name
    assert second == Names(second.cache, "de")


async def test_an_object_without_a_place_for_it() -> None:
    class Slotted:
        __slots__ = ("cache",)

        def __init__(self) -> None:
            self.cache = Cache(MemoryStore())

        @cached(ttl=60)
        async def number(self, id: int) -> int:
            return id

    slotted = Slotted()
    assert [await slotted.number(1), await slotted.number(1)] == [1, 1]


class Family:
    """Methods that ask each other: of some the cache has the values, of some it loads them."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.asked: list[object] = []
        self.gate = asyncio.Event()
        self.friends = {1: 2, 2: 1, 3: 4, 4: 5, 5: 3}

    @cached("person:{id}", ttl=60)
    async def person(self, id: int) -> str | None:
        return (await self.persons([id])).get(id)

    @cached("person:{ids}", ttl=60)
    async def persons(self, ids: Sequence[int]) -> dict[int, str]:
        self.asked.append(tuple(ids))
        return {each: f"p{each}" for each in ids}

    @cached("round:{id}", ttl=60, ignore=("left",))
    async def round(self, id: int, left: int = 3) -> list[int]:
        """Returns whose friend is whose."""
        self.asked.append(id)
        await self.gate.wait()
        return [id, *await self.round(self.friends[id], left - 1)] if left else [id]

    @cached("for ever:{id}", ttl=60)
    async def for_ever(self, id: int) -> int:
        return await self.for_ever(id)


async def within_a_minute(work: Awaitable[T]) -> T:
    async with asyncio.timeout(60):
        return await work


@pytest.mark.parametrize("make", [MemoryStore, FarStore])
async def test_a_load_may_ask_for_its_own_key(make: type[MemoryStore | FarStore]) -> None:
    """By a method that shares it: it would wait for itself."""
    family = Family(Cache(make()))
    assert await within_a_minute(asyncio.gather(*(family.person(1) for _ in range(5)))) == ["p1"] * 5
    assert family.asked == [(1,)]
    assert await family.persons([1, 2]) == {1: "p1", 2: "p2"}


async def test_loads_may_ask_for_each_other() -> None:
    """Three at once, each of which needs the next: whoever would close the ring goes to the source."""
    family = Family(Cache(MemoryStore()))
    calls = [asyncio.create_task(family.round(number)) for number in (3, 4, 5)]
    for _ in range(20):
        await asyncio.sleep(0)
    family.gate.set()
    found = await within_a_minute(asyncio.gather(*calls))
    assert [each[0] for each in found] == [3, 4, 5]
    assert all(set(each) <= {3, 4, 5} for each in found)
    assert family.cache._shared.flights._slots == {}
    assert not family.cache._shared.flights._tasks


async def test_a_load_that_asks_for_itself_for_ever() -> None:
    family = Family(Cache(MemoryStore()))
    with pytest.raises(RecursionError, match="for ever:1.* asks for itself, again and again"):
        await within_a_minute(family.for_ever(1))


async def test_what_a_load_has_begun_joins_later_ones() -> None:
    """A task that outlives the load that has begun it waits for others like everybody."""
    cache = Cache(MemoryStore())
    begun: list[asyncio.Task[int]] = []
    asked: list[int] = []
    gate = asyncio.Event()

    async def later() -> int:
        await gate.wait()
        return await number(2)

    @cache.cached("{id}", ttl=60)
    async def number(id: int) -> int:
        asked.append(id)
        if id == 1:
            begun.append(asyncio.create_task(later()))
        await asyncio.sleep(0)
        return id

    assert await number(1) == 1
    other = asyncio.create_task(number(2))
    gate.set()
    assert [await begun[0], await other, asked] == [2, 2, [1, 2]]
