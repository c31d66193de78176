"""What type checkers have against wrong use of cached methods."""

from __future__ import annotations

from kratos.cache import Cache, MemoryStore, cached


class Users:
    def __init__(self) -> None:
        self.cache = Cache(MemoryStore())

    @cached("user:{id}", ttl=60)
    async def user(self, id: int) -> str:
        return str(id)

    @cached("user:{id}", ttl="60")  # E:
    async def wrong(self, id: int) -> str:
        return str(id)


async def use(users: Users) -> None:
    await users.user("1")  # E:
    await users.user()  # E:
    await users.user.invalidate("1")  # E:
    await users.user.refresh(1, 2)  # E:
    number: int = await users.user(1)  # E:
    print(number)
