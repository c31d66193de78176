"""What a value that is in the cache costs, beside aiocache and cashews: in memory, and in Redis where there is one.

    python benchmarks/cache.py [rounds] [calls]

All decorate the same function, which takes an integer and returns a frozen dataclass; keys are a template of ours and
of cashews, a function for aiocache, which is its cheapest. In memory all three keep objects as they are. In Redis ours
keeps JSON; aiocache is given the pickle that it has for objects, and cashews its own. A round runs all of them, in an
order that changes, one call after the other; then 200 callers at once. The least of the rounds counts: noise only adds.
``kratos, changeable`` returns a dataclass that is not frozen, of which each caller gets one of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import aiocache
import cashews
from aiocache.serializers import PickleSerializer

from kratos.cache import Cache, MemoryStore
from kratos.contrib.redis import RedisStore

CROWD = 200


@dataclass(frozen=True)
class User:
    id: int
    name: str
    mail: str


@dataclass
class Cart:
    id: int
    name: str
    mail: str


Call = Callable[[int], Awaitable[Any]]


def ours(cache: Cache, kind: type[User | Cart]) -> Call:
    async def load(id: int) -> Any:
        return kind(id, "name", "name@example.com")

    load.__annotations__["return"] = kind
    return cache.cached("user:{id}", ttl=600)(load)


def of_aiocache(**options: Any) -> Call:
    @aiocache.cached(ttl=600, key_builder=lambda _, number: f"user:{number}", **options)  # type: ignore[untyped-decorator]
    async def load(id: int) -> User:
        return User(id, "name", "name@example.com")

    return load


def of_cashews(url: str, **options: Any) -> Call:
    cache = cashews.Cache()
    cache.setup(url, **options)

    @cache(ttl=600, key="user:{id}")
    async def load(id: int) -> User:
        return User(id, "name", "name@example.com")

    return load


async def in_turn(call: Call, calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        await call(1)
    return (time.perf_counter() - began) / calls * 1e6


async def at_once(call: Call, calls: int) -> float:
    began = time.perf_counter()
    for _ in range(max(1, calls // CROWD)):
        await asyncio.gather(*(call(1) for _ in range(CROWD)))
    return (time.perf_counter() - began) / (max(1, calls // CROWD) * CROWD) * 1e6


async def measured(variants: dict[str, Call], rounds: int, calls: int) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for call in variants.values():
        await call(1)
        await call(1)
    for _ in range(rounds):
        for name, call in random.sample([*variants.items()], len(variants)):
            took = await in_turn(call, calls), await at_once(call, calls)
            best = found.get(name, took)
            found[name] = min(best[0], took[0]), min(best[1], took[1])
    return {name: found[name] for name in variants}


def show(title: str, found: dict[str, tuple[float, float]]) -> None:
    print(f"\n**{title}**, microseconds a call\n")
    print("| cache | one after the other | to kratos | 200 at once | to kratos |")
    print("|---|---:|---:|---:|---:|")
    base = found["kratos"]
    for name, (alone, crowd) in found.items():
        print(f"| {name} | {alone:.1f} | {alone / base[0]:.1f} | {crowd:.1f} | {crowd / base[1]:.1f} |")


@contextlib.contextmanager
def redis() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own line
    try:
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


async def main(rounds: int, calls: int) -> None:
    versions = f"aiocache {aiocache.__version__}, cashews {version('cashews')}, redis-py {version('redis')}"
    print(f"Python {platform.python_version()}, {versions}; {rounds} rounds of {calls} calls, the least of each.")
    memory: dict[str, Call] = {
        "kratos": ours(Cache(MemoryStore()), User),
        "kratos, changeable": ours(Cache(MemoryStore()), Cart),
        "aiocache": of_aiocache(cache=aiocache.SimpleMemoryCache),
        "cashews": of_cashews("mem://"),
    }
    show("In memory", await measured(memory, rounds, calls))
    if shutil.which("redis-server") is None:
        print("\nNo redis-server here: apt-get install redis-server")
        return
    with redis() as port:
        cache = Cache(RedisStore(f"redis://127.0.0.1:{port}/0"), timeout=30)
        far: dict[str, Call] = {
            "kratos": ours(cache, User),
            "aiocache": of_aiocache(
                cache=aiocache.RedisCache,
                endpoint="127.0.0.1",
                port=port,
                db=1,
                serializer=PickleSerializer(),
                pool_max_size=CROWD,
            ),
            "cashews": of_cashews(f"redis://127.0.0.1:{port}/2", max_connections=CROWD),
        }
        show("In Redis", await measured(far, rounds, max(200, calls // 10)))
        await cache.aclose()


if __name__ == "__main__":
    asyncio.run(main(*map(int, (*sys.argv[1:], 5, 5000)[:2])))
