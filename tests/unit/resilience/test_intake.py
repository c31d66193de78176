"""When all that has arrived has come in."""

from __future__ import annotations

import asyncio

import pytest

from kratos.resilience import intake as module
from kratos.resilience.intake import HandedOver, Turns


async def test_turns() -> None:
    """It waits while calls come within a few turns of the event loop, and there is an end to it."""
    turns, came = Turns(), 0

    async def come(pause: int) -> None:
        nonlocal came
        while True:
            for _ in range(pause):
                await asyncio.sleep(0)
            turns.came()
            came += 1

    for pause, enough in ((3, 8), (10, 0)):
        came = 0
        calls = asyncio.create_task(come(pause))
        await turns.settled()
        calls.cancel()
        assert enough <= came <= enough + 3


async def test_handed_over() -> None:
    """It waits until no call has come for a millisecond, and there is an end to it."""
    loop = asyncio.get_running_loop()
    intake = HandedOver()
    last = loop.time() + 0.01
    intake.came(last)
    await intake.settled()
    assert loop.time() >= last + 0.001
    intake = HandedOver()
    intake.came(loop.time() + 3600)
    async with asyncio.timeout(60):
        await intake.settled()


async def test_handed_over_a_moment_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits goes on with the first of them, and who comes right after that does not wait; later ones do."""
    loop = asyncio.get_running_loop()
    intake = HandedOver()
    monkeypatch.setattr(module, "_LULL_SECONDS", 3600.0)
    await asyncio.gather(*(intake.settled() for _ in range(3)))
    soon = intake.settled()
    with pytest.raises(StopIteration):
        soon.send(None)
    monkeypatch.setattr(module, "_LULL_SECONDS", 0.0)
    last = loop.time() + 0.01
    intake.came(last)
    await intake.settled()
    assert loop.time() >= last + 0.001
