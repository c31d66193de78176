"""Checks: bounded, shared, and told of without what they said."""

from __future__ import annotations

import asyncio
import logging

import pytest

from kratos.admin.checks import Check, Checkup
from kratos.testing import FakeClock


class Database:
    """Something to look after."""

    def __init__(self) -> None:
        self.asked = 0
        self.failure: Exception | None = None
        self.hangs = False
        self.stubborn = False
        self.let_go = asyncio.Event()

    async def ping(self) -> None:
        self.asked += 1
        while self.hangs:
            try:
                await self.let_go.wait()
                return
            except asyncio.CancelledError:
                if not self.stubborn:
                    raise
        if self.failure is not None:
            raise self.failure


async def test_shared() -> None:
    """However many ask, it is looked at once; each waits for the same outcome."""
    database = Database()
    checkup = Checkup([Check(name="db", run=database.ping)])
    found = await asyncio.gather(*(checkup.run() for _ in range(20)))
    assert database.asked == 1
    assert {outcome.failed for outcomes in found for outcome in outcomes.values()} == {""}
    await checkup.run()
    assert database.asked == 1


async def test_failures(caplog: pytest.LogCaptureFixture) -> None:
    """A failure is told by its type, what it says goes to the log; only marked ones count for readiness."""
    database = Database()
    database.failure = ConnectionError("password is hunter2")
    checkup = Checkup([Check(name="db", run=database.ping), Check(name="other", run=database.ping, ready=True)])
    outcomes = await checkup.run()
    assert {outcome.failed for outcome in outcomes.values()} == {"ConnectionError"}
    assert not await checkup.ready()
    assert await Checkup([Check(name="db", run=database.ping)]).ready()
    assert "check db fails: password is hunter2" in caplog.text


async def test_time() -> None:
    """A check that takes too long has failed; one that goes on all the same is not begun a second time."""
    database = Database()
    database.hangs = database.stubborn = True
    checkup = Checkup([Check(name="db", run=database.ping, timeout=30)])
    with FakeClock() as clock:
        waiting = asyncio.create_task(checkup.run())
        await clock.advance(31)
        assert (await waiting)["db"].failed == "not done after 30 s"
        await clock.advance(2)
        assert (await checkup.run())["db"].failed == "has not ended since it ran out of time"
        assert database.asked == 1
        database.hangs = False
        database.let_go.set()
        await clock.advance(2)
        assert (await checkup.run())["db"].failed == ""
        assert database.asked == 2


async def test_leaving() -> None:
    """Whoever asks may leave; the others wait on, and the end of all ends what is under way."""
    database = Database()
    database.hangs = True
    checkup = Checkup([Check(name="db", run=database.ping, timeout=60)])
    first, second = (asyncio.create_task(checkup.run()) for _ in range(2))
    while not database.asked:
        await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    database.let_go.set()
    assert (await second)["db"].failed == ""


async def test_closing() -> None:
    """The end does not wait for what is under way."""
    database = Database()
    database.hangs = True
    checkup = Checkup([Check(name="db", run=database.ping, timeout=60)])
    waiting = asyncio.create_task(checkup.run())
    while not database.asked:
        await asyncio.sleep(0)
    await checkup.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_news(caplog: pytest.LogCaptureFixture) -> None:
    """The log says when a check begins to fail and when it is well again, and not at each look."""
    caplog.set_level(logging.INFO, "kratos.admin")
    database = Database()
    checkup = Checkup([Check(name="db", run=database.ping)])
    with FakeClock() as clock:
        for failure in (None, OSError("away"), OSError("away"), None, None):
            database.failure = failure
            await checkup.run()
            await clock.advance(2)
    assert [record.getMessage() for record in caplog.records] == ["check db fails: away", "check db is well again"]


def test_nonsense() -> None:
    """What can be no check is refused when it is made."""

    async def ping() -> None:
        pass

    with pytest.raises(ValueError, match="name"):
        Check(name="", run=ping)
    with pytest.raises(ValueError, match="timeout"):
        Check(name="db", run=ping, timeout=0)
    with pytest.raises(ValueError, match="db comes twice"):
        Checkup([Check(name="db", run=ping), Check(name="db", run=ping)])
