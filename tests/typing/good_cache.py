"""Cached methods keep their signatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import reveal_type

from kratos.cache import Cache, MemoryStore, cached, invalidates


@dataclass(frozen=True)
class User:
    id: int


class Users:
    def __init__(self, cache: Cache) -> None:
        self.cache = cache

    @cached("user:{id}", ttl=60, null_ttl=5, ignore=("deep",))
    async def user(self, id: int, *, deep: bool = False) -> User | None:
        return User(id) if deep else None

    @cached("user:{ids}", ttl=60)
    async def users(self, ids: Sequence[int]) -> dict[int, User]:
        return {each: User(each) for each in ids}

    @cached(ttl=60)
    async def everybody(self) -> list[User]:
        return []

    @invalidates("user", id="user.id")
    async def save(self, user: User) -> bool:
        return bool(user)


async def use() -> None:
    cache = Cache(MemoryStore())
    users = Users(cache)
    reveal_type(await users.user(1, deep=True))  # R: .*User \| None
    reveal_type(await users.users([1, 2]))  # R: dict\[int, .*User\]
    reveal_type(await users.everybody())  # R: list\[.*User\]
    reveal_type(await users.save(User(1)))  # R: bool
    reveal_type(await users.user.refresh(1))  # R: .*User \| None
    await users.user.invalidate(1)

    @cache.cached(ttl=60)
    async def double(number: int) -> int:
        return 2 * number

    reveal_type(await double(2))  # R: int
