"""A source that counts, and repositories over it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from kratos.cache import Cache, Paging, cached, invalidates


@dataclass(frozen=True)
class User:
    id: int
    name: str


@dataclass
class Cart:
    id: int
    lines: list[str] = field(default_factory=list)


class Source:
    """What is cached; loads wait until they are let go, if they are held."""

    def __init__(self) -> None:
        self.users = {number: User(number, f"u{number}") for number in range(1, 100)}
        self.asked: list[object] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: BaseException | None = None

    async def one(self, id: int) -> User | None:
        self.asked.append(id)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return self.users.get(id)

    async def early(self, id: int) -> User | None:
        """What was true when it began."""
        found = self.users.get(id)
        await self.one(id)
        return found

    async def many(self, ids: Sequence[int]) -> dict[int, User]:
        self.asked.append(tuple(ids))
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return {each: self.users[each] for each in ids if each in self.users}


class Users:
    """Everything a repository may have."""

    def __init__(self, cache: Cache, source: Source | None = None) -> None:
        self.cache = cache
        self.source = source or Source()
        self.carts: dict[int, Cart] = {}

    @cached("user:{id}", ttl=60, null_ttl=5)
    async def user(self, id: int) -> User | None:
        """Returns a user."""
        return await self.source.one(id)

    @cached("user:{ids}", ttl=60, null_ttl=5)
    async def users(self, ids: Sequence[int]) -> dict[int, User]:
        return await self.source.many(ids)

    @cached("bare:{id}", ttl=60)
    async def bare(self, id: int) -> User | None:
        return await self.source.one(id)

    @cached("kept:{id}", ttl=600)
    async def kept(self, id: int) -> User | None:
        return await self.source.early(id)

    @cached(ttl=60)
    async def everybody(self) -> list[User]:
        self.source.asked.append("all")
        return sorted(self.source.users.values(), key=lambda user: user.id)

    @cached(ttl=60)
    async def count(self, kind: str) -> int:
        self.source.asked.append(kind)
        return 0

    @cached(ttl=60, paging=Paging("pn", "ps"))
    async def page(self, kind: str, pn: int = 1, ps: int = 20) -> list[User]:
        self.source.asked.append(kind)
        return [self.source.users[number] for number in range(1, 31)]

    @cached("cart:{id}", ttl=60)
    async def cart(self, id: int) -> Cart:
        self.source.asked.append(id)
        await self.source.gate.wait()
        return self.carts.setdefault(id, Cart(id, ["first"]))

    @cached("old:{id}", ttl=10, jitter=0, stale=10)
    async def old(self, id: int) -> User | None:
        return await self.source.one(id)

    @cached("alone:{id}", ttl=60, single_flight=False)
    async def alone(self, id: int) -> User | None:
        return await self.source.one(id)

    @cached("batch:{ids}", ttl=60, batch_size=2, max_concurrency=2)
    async def batches(self, ids: Sequence[int]) -> dict[int, User]:
        return await self.source.many(ids)

    @invalidates("user", id="user.id")
    @invalidates("users", ids="user.id")
    async def save(self, user: User) -> None:
        self.source.users[user.id] = user
        if self.source.failure is not None:
            raise self.source.failure

    @invalidates(user)
    async def delete(self, id: int) -> bool:
        return self.source.users.pop(id, None) is not None
