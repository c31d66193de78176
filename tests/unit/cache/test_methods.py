"""Cached methods of classes: inherited, overridden, of copies, and those that ask others of the same cache."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import pytest

from kratos.cache import Cache, MemoryStore, cached


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
