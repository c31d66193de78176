"""Users."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kratos.cache import Paging, cacheable, invalidates

MINUTE = 60.0


@dataclass(frozen=True)
class User:
    """A user."""

    id: int
    name: str
    born: dt.date


def by_name(name: str, country: str) -> str:
    """Returns a key."""
    return f"name:{country}:{name}"


class Users(Protocol):
    """Where users are."""

    @cacheable("user:{id}", ttl=MINUTE, null_ttl=5, stale=10)
    async def user(self, id: int) -> User | None:
        """Returns a user, None if there is no such one."""
        ...

    @cacheable("user:{ids}", ttl=MINUTE, batch_size=50)
    async def users(self, ids: Sequence[int]) -> dict[int, User]: ...

    @cacheable("of:{country}:{ids}", ttl=MINUTE, ignore=("deep",))
    async def abroad(self, ids: Sequence[int], country: str, *, deep: bool = False) -> Mapping[int, User]: ...

    @cacheable("name:{ids}", ttl=60)
    async def names(self, ids: Sequence[int]) -> dict[int, str]: ...

    @cacheable("age:{names}", ttl=60)
    async def ages(self, names: Sequence[str]) -> dict[str, int]: ...

    @cacheable("height:{ids}", ttl=60, null_ttl=5)
    async def heights(self, ids: Sequence[int]) -> dict[int, float]: ...

    @cacheable(ttl=60)
    async def everybody(self) -> list[User]: ...

    @cacheable(by_name, ttl=60)
    async def named(self, name: str, country: str = "de") -> User | None: ...

    @cacheable(ttl=60, paging=Paging("page", "size"))
    async def born(self, day: dt.date, page: int = 1, size: int = 20) -> list[User]: ...

    @invalidates("user", id="user.id")
    @invalidates("users", ids="user.id")
    async def save(self, user: User) -> None: ...

    @invalidates("users")
    async def delete(self, ids: Sequence[int]) -> int: ...

    async def ping(self, times: int = 3) -> str: ...
