"""Lists survive their registry. The clock is a fake one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable

import pytest

from kratos.call import Call, current_call
from kratos.registry import Instance, Patience
from kratos.registry.watching import Watches
from kratos.testing import FakeClock

LONGEST = Patience(random=lambda: 1.0)


def one(id: str, name: str = "shop", url: str = "grpc://a:1") -> Instance:
    return Instance(id, name, endpoints=(url,))


class Lister:
    """A driver whose registry says what a test says: a list, an error, or None for the end of a connection."""

    def __init__(self, *first: Instance) -> None:
        self.says: tuple[Instance, ...] | Exception | None = first
        self.open = 0
        self.opened = 0
        self.hangs = False
        self.called_in: Call | None = None
        self._changed = asyncio.Event()

    async def lists(self, name: str, /) -> AsyncGenerator[Iterable[Instance], None]:
        self.open += 1
        self.opened += 1
        self.called_in = current_call()
        try:
            if self.hangs:
                await asyncio.Event().wait()
            while True:
                changed = self._changed
                if self.says is None:
                    return
                if isinstance(self.says, Exception):
                    raise self.says
                yield self.says
                await changed.wait()
        finally:
            self.open -= 1

    def say(self, *instances: Instance) -> None:
        self._say(instances)

    def fail(self, failure: Exception | None = None) -> None:
        self._say(failure)

    async def restart(self, *instances: Instance) -> None:
        """Goes away, and comes back with this."""
        self.fail()
        for _ in range(20):
            await asyncio.sleep(0)
        self.say(*instances)

    def _say(self, says: tuple[Instance, ...] | Exception | None) -> None:
        self.says = says
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class Watcher:
    """Writes down the ids of each list."""

    def __init__(self, lists: AsyncIterator[tuple[Instance, ...]]) -> None:
        self.seen: list[str] = []
        self.task = asyncio.create_task(self._run(lists))

    async def _run(self, lists: AsyncIterator[tuple[Instance, ...]]) -> None:
        async for found in lists:
            self.seen.append("".join(each.id for each in found))

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


async def later(clock: FakeClock, seconds: float) -> None:
    """Lets time pass in small steps, so that what begins meanwhile begins on time."""
    for _ in range(round(seconds * 4)):
        await clock.advance(0.25)


async def test_only_changes_are_told() -> None:
    """Lists come in the order of ids, of this service only, once for each change and each scheme."""
    lister = Lister(one("2"), one("1"), one("3", "shop2"))
    with FakeClock() as clock:
        watches = Watches(lister, "etcd", LONGEST)
        every, http = Watcher(watches.watch("shop")), Watcher(watches.watch("shop", "http"))
        await clock.settle()
        lister.say(one("1"), one("2"))
        await clock.settle()
        lister.say(one("1"), one("2"), one("4", url="http://a:1"))
        await clock.settle()
        lister.say(one("2"), one("4", url="http://a:1"))
        await clock.settle()
        lister.say()
        await clock.settle()
        assert every.seen == ["12", "124", "24", ""]
        assert http.seen == ["", "4", ""]
        assert lister.opened == 1
        await every.leave()
        assert lister.open == 1
        await http.leave()
        assert lister.open == 0


async def test_unknown_is_not_empty(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is told before the registry has answered; that nobody serves is an answer."""
    lister = Lister()
    lister.fail(ConnectionRefusedError("no registry"))
    with FakeClock() as clock:
        watches = Watches(lister, "etcd", LONGEST)
        watcher = Watcher(watches.watch("shop"))
        for _ in range(130):
            await clock.advance(1)
        assert watcher.seen == []
        lister.say()
        await clock.advance(5)
        assert watcher.seen == [""]
        await watcher.leave()
    told = [(each.levelname, each.getMessage()) for each in caplog.records]
    assert [level for level, _ in told] == ["ERROR"] * 3 + ["WARNING"]
    assert told[0][1].endswith("no registry. Trying again until it is back; nothing is known until then")
    assert "still away after" in told[1][1]
    assert "it is back after" in told[-1][1]


async def test_a_registry_that_hangs(caplog: pytest.LogCaptureFixture) -> None:
    """A registry that does not answer at all is asked again after half a minute."""
    lister = Lister(one("1"))
    lister.hangs = True
    with FakeClock() as clock:
        watcher = Watcher(Watches(lister, "etcd", LONGEST).watch("shop"))
        await clock.advance(29)
        assert lister.opened == 1
        await clock.advance(1)
        lister.hangs = False
        await clock.advance(1)
        assert watcher.seen == ["1"]
        await watcher.leave()


async def test_the_last_list_stands(caplog: pytest.LogCaptureFixture) -> None:
    """While the registry is away nothing changes; what has changed meanwhile is told when it is back."""
    lister = Lister(one("1"), one("2"))
    with FakeClock() as clock:
        watches = Watches(lister, "etcd", LONGEST)
        watcher = Watcher(watches.watch("shop"))
        await clock.advance(100)
        lister.fail()
        await clock.advance(600)
        late = Watcher(watches.watch("shop"))
        await clock.settle()
        assert late.seen == ["12"]
        lister.say(one("1"), one("2"), one("3"))
        await clock.advance(5)
        assert watcher.seen == ["12", "123"]
        await asyncio.gather(watcher.leave(), late.leave())
    assert "it has stopped. Trying again until it is back; the last list stands until then" in caplog.text


async def test_an_empty_restart(caplog: pytest.LogCaptureFixture) -> None:
    """What a registry has forgotten stays for a time of grace, in which it is told anew."""
    lister = Lister(one("1"), one("2"), one("3"))
    with FakeClock() as clock, caplog.at_level(logging.WARNING):
        watcher = Watcher(Watches(lister, "etcd", LONGEST).watch("shop"))
        await clock.advance(100)
        await lister.restart()
        await clock.advance(0.2)
        assert watcher.seen == ["123"]
        assert "it has come back without 3 of 3 instances, which are kept for 15 s" in caplog.text
        await clock.advance(5)
        lister.say(one("2"))
        await clock.settle()
        lister.say(one("2"), one("4"))
        await clock.settle()
        assert watcher.seen == ["123", "1234"]
        lister.say(one("4"))  # who has come back, and leaves, is believed
        await clock.settle()
        assert watcher.seen == ["123", "1234", "134"]
        lister.say(one("4"), one("1"))
        await clock.advance(9.9)
        assert watcher.seen[3:] == []
        await clock.advance(0.2)
        assert watcher.seen[3:] == ["14"]
        assert "1 instances have not come back" in caplog.text
        await clock.advance(100)
        lister.say()
        await clock.settle()
        assert watcher.seen[4:] == [""]
        await watcher.leave()


async def test_all_have_come_back(caplog: pytest.LogCaptureFixture) -> None:
    """When all are back the time of grace is over, and another outage begins another one."""
    lister = Lister(one("1"))
    with FakeClock() as clock:
        watcher = Watcher(Watches(lister, "etcd", LONGEST).watch("shop"))
        await later(clock, 100)
        for _ in range(2):
            await lister.restart()
            await later(clock, 1)
            lister.say(one("1"))
            await later(clock, 100)
        await lister.restart()
        await later(clock, 14)
        assert watcher.seen == ["1"]
        await later(clock, 2)
        assert watcher.seen == ["1", ""]
        await watcher.leave()
    assert caplog.text.count("have not come back") == 1


async def test_connections_that_do_not_last(caplog: pytest.LogCaptureFixture) -> None:
    """The time of grace does not begin anew with each of them: who is dead is given up, each in time."""
    lister = Lister(one("1"), one("2"), one("3"))
    with FakeClock() as clock:
        watcher = Watcher(Watches(lister, "etcd", Patience(first=0.1, last=0.5, random=lambda: 0.4)).watch("shop"))
        await later(clock, 10)
        for seconds in range(14):
            await lister.restart(*(one("2") for _ in range(seconds < 10)), one("3"))
            await later(clock, 1)
        assert watcher.seen == ["123"]
        await lister.restart(one("3"))
        await later(clock, 2)
        assert watcher.seen == ["123", "23"]
        await later(clock, 6)
        assert watcher.seen == ["123", "23"]
        await later(clock, 4)
        assert watcher.seen == ["123", "23", "3"]
        await watcher.leave()
    assert caplog.text.count("it has come back without") == 2
    assert caplog.text.count("1 instances have not come back") == 2


async def test_away_again_in_the_time_of_grace() -> None:
    """An outage does not count: nobody could come back in it."""
    lister = Lister(one("1"))
    with FakeClock() as clock:
        watcher = Watcher(Watches(lister, "etcd", Patience(first=1, last=1)).watch("shop"))
        await later(clock, 10)
        await lister.restart()
        await later(clock, 5)
        lister.fail(ConnectionError("away"))
        await later(clock, 600)
        assert watcher.seen == ["1"]
        lister.say()
        await later(clock, 8)
        assert watcher.seen == ["1"]
        await later(clock, 5)
        assert watcher.seen == ["1", ""]
        await watcher.leave()


async def test_no_grace() -> None:
    """Without grace a registry is believed whatever it says."""
    lister = Lister(one("1"))
    with FakeClock() as clock:
        watcher = Watcher(Watches(lister, "etcd", Patience(grace=0)).watch("shop"))
        await clock.advance(100)
        await lister.restart()
        await clock.advance(1)
        assert watcher.seen == ["1", ""]
        await watcher.leave()


async def test_pauses_begin_anew() -> None:
    """After a connection that has lasted the first pause is short again; one that has not does not spin."""
    lister = Lister(one("1"))
    with FakeClock() as clock:
        watcher = Watcher(Watches(lister, "etcd", LONGEST).watch("shop"))
        await clock.settle()
        for _ in range(100):
            await lister.restart(one("1"))
            await clock.advance(0.1)
        assert lister.opened < 12
        await later(clock, 20)
        opened = lister.opened
        await lister.restart(one("1"))
        await clock.advance(0.25)
        assert lister.opened == opened + 1
        await watcher.leave()


async def test_closing() -> None:
    """Closing ends iterators, also while the registry is away; afterwards it may be watched again."""
    lister = Lister(one("1"))
    with FakeClock() as clock:
        watches = Watches(lister, "etcd", LONGEST)
        watchers = [Watcher(watches.watch("shop")), Watcher(watches.watch("bank"))]
        await clock.settle()
        await watches.aclose()
        await asyncio.gather(*(each.task for each in watchers))
        assert lister.open == 0
        again = Watcher(watches.watch("shop"))
        await clock.settle()
        assert again.seen == ["1"]
        lister.fail(ConnectionError("no registry"))
        await clock.settle()
        await watches.aclose()
        await again.task
        assert lister.open == 0


@pytest.mark.parametrize("how", ["return", "raise", "list"])
async def test_a_driver_that_does_not_want_to_end(how: str) -> None:
    """Whatever a driver makes of being closed, it is not asked again."""

    class Stubborn(Lister):
        async def lists(self, name: str, /) -> AsyncGenerator[Iterable[Instance], None]:
            self.opened += 1
            yield [one("1")]
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if how == "raise":
                    raise ConnectionError("cancelled") from None
                if how == "list":
                    yield [one("2")]

    lister = Stubborn()
    with FakeClock() as clock:
        watches = Watches(lister, "etcd", LONGEST)
        for number in (1, 2):
            watcher = Watcher(watches.watch("shop"))
            await clock.settle()
            assert lister.opened == number
            await watcher.leave()
            await clock.advance(100)
            assert watcher.seen == ["1"]
            assert lister.opened == number
