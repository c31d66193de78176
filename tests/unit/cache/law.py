"""The law, played at random: a read is never older than the last invalidation before it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from kratos.cache import Cache, cached, invalidates

KEYS = (1, 2, 3)


@dataclass(frozen=True)
class Step:
    """What happens next: who does what to which key, how long a load takes, and how soon the next step comes."""

    what: str
    process: int
    key: int
    slow: int
    pause: int


def plays(processes: int) -> st.SearchStrategy[list[Step]]:
    """Returns sequences of steps."""
    what = st.sampled_from(["read", "read", "read", "write", "many", "refresh", "leave"])
    numbers = st.integers(0, 12)
    step = st.builds(Step, what, st.integers(0, processes - 1), st.sampled_from(KEYS), numbers, numbers)
    return st.lists(step, min_size=5, max_size=40)


class World:
    """What is true: the version of each key, and the least that a read may say."""

    def __init__(self) -> None:
        self.version = dict.fromkeys(KEYS, 0)
        self.known = dict.fromkeys(KEYS, 0)
        self.slow = 0

    async def load(self, key: int) -> int:
        slow = self.slow
        await turns(slow % 5)
        version = self.version[key]
        await turns(slow)
        return version


class Repository:
    """One process."""

    def __init__(self, cache: Cache, world: World) -> None:
        self.cache = cache
        self.world = world

    @cached("v:{key}", ttl=60, stale=30)
    async def one(self, key: int) -> int:
        return await self.world.load(key)

    @cached("v:{keys}", ttl=60, stale=30, batch_size=2)
    async def several(self, keys: Sequence[int]) -> dict[int, int]:
        return {key: await self.world.load(key) for key in keys}

    @invalidates("one")
    async def write(self, key: int) -> int:
        self.world.version[key] += 1
        return self.world.version[key]


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def broken(caches: Sequence[Cache], steps: Sequence[Step], *, beat: float = 0) -> list[str]:
    """Plays the steps and returns where the law was broken.

    Args:
        caches: One for each process.
        steps: What to play.
        beat: Seconds of one turn between steps, where stores take real time.
    """
    world = World()
    repositories = [Repository(cache, world) for cache in caches]
    found: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    async def play(step: Step) -> None:
        repository = repositories[step.process]
        least = dict(world.known)
        if step.what == "write":
            version = await repository.write(step.key)
            world.known[step.key] = max(world.known[step.key], version)
            return
        if step.what == "many":
            answers = await repository.several(KEYS)
        elif step.what == "refresh":
            answers = {step.key: await repository.one.refresh(step.key)}
        else:
            answers = {step.key: await repository.one(step.key)}
        found.extend(
            f"{step}: read {version}, when {least[key]} was known"
            for key, version in answers.items()
            if version < least[key]
        )

    for step in steps:
        world.slow = step.slow
        tasks.append(asyncio.create_task(play(step)))
        await turns(step.pause)
        if beat:
            await asyncio.sleep(beat * step.pause)
        if step.what == "leave":
            tasks[-1].cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        assert ended is None or isinstance(ended, asyncio.CancelledError), ended
    for cache in caches:
        await cache.aclose()
    return found


def some_plays(count: int, processes: int, seed: int) -> list[list[Step]]:
    """Returns plays by a seed, where Hypothesis would take too long to shrink."""
    dice = random.Random(seed)
    what = ["read", "read", "read", "write", "many", "refresh", "leave"]
    return [
        [
            Step(
                dice.choice(what), dice.randrange(processes), dice.choice(KEYS), dice.randrange(13), dice.randrange(13)
            )
            for _ in range(40)
        ]
        for _ in range(count)
    ]
