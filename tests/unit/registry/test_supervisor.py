"""Registrations survive their registry, and end when they are to end. The clock is a fake one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from kratos.errors import ServiceUnavailable
from kratos.metrics import PrometheusMeter
from kratos.registry import Instance, InvalidInstance, Patience
from kratos.registry.supervisor import Registrations
from kratos.testing import FakeClock

ONE = Instance("1", "shop", "v1")
TWO = Instance("1", "shop", "v2")
LONGEST = Patience(random=lambda: 1.0)


class Keeper:
    """A driver whose registry does what a test says."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.fails: Exception | None = None
        self.hangs = False
        self.is_deaf = False
        self.held: set[str] = set()
        self._lost = asyncio.Event()

    async def hold(self, instance: Instance, found: Callable[[], None], /) -> None:
        self.log.append(f"hold {instance.version}")
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails is not None:
            raise self.fails
        found()
        self.held.add(instance.version)
        try:
            await self._lost.wait()
        except asyncio.CancelledError:
            if self.is_deaf:
                return
            raise
        finally:
            self.held.discard(instance.version)
        self.log.append("lost")

    async def forget(self, instance: Instance, /) -> None:
        self.log.append(f"forget, while {sorted(self.held)} is held")
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails is not None:
            raise self.fails

    def lose(self) -> None:
        self._lost.set()
        self._lost = asyncio.Event()


def registrations(keeper: Keeper, patience: Patience = LONGEST) -> Registrations:
    return Registrations(keeper, "etcd", patience)


def gauge(meter: PrometheusMeter) -> list[str]:
    text = meter.render()[1].decode()
    return [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith("kratos_registered{")]


async def test_ten_minutes_away(caplog: pytest.LogCaptureFixture) -> None:
    """A registry that is away for ten minutes is told again within ten seconds of its return, exactly once."""
    keeper, meter = Keeper(), PrometheusMeter()
    with FakeClock() as clock, caplog.at_level(logging.INFO):
        kept = registrations(keeper)
        kept.measure(meter)
        assert gauge(meter) == []
        await kept.register(ONE)
        assert gauge(meter) == ["1.0"]
        assert kept.trouble(ONE) == ""
        await clock.advance(100)
        keeper.fails = ConnectionRefusedError("no registry")
        keeper.lose()
        for _ in range(600):
            await clock.advance(1)
        assert gauge(meter) == ["0.0"]
        assert kept.trouble(ONE) == "ConnectionRefusedError: no registry"
        keeper.fails = None
        keeper.log.clear()
        back = 0
        while kept.trouble(ONE):
            await clock.advance(1)
            back += 1
        assert back <= 10
        assert gauge(meter) == ["1.0"]
        await clock.advance(100)
        assert keeper.log == ["hold v1"]
        await kept.deregister(ONE)
        assert gauge(meter) == []
    told = [(each.levelname, each.getMessage()) for each in caplog.records]
    assert told[0] == ("INFO", "etcd: shop (1) is registered")
    assert told[1][0] == "ERROR"
    assert "shop (1) is not registered any more: the registry has lost it" in told[1][1]
    assert [level for level, _ in told[2:]] == ["ERROR"] * 9 + ["WARNING"]
    assert "still not registered after" in told[2][1]
    assert "is registered again, after 60" in told[-1][1]


async def test_pauses_grow_to_a_limit() -> None:
    """The longest pause doubles up to five seconds; what is waited is a random part of it."""
    assert [LONGEST.pause(number) for number in range(1, 8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert LONGEST.pause(10_000) == 5.0
    assert Patience(random=lambda: 0.5).pause(6) == 2.5
    pauses = {Patience().pause(9) for _ in range(50)}
    assert len(pauses) > 1
    assert all(0 <= pause <= 5 for pause in pauses)


async def test_a_registration_that_does_not_last() -> None:
    """One that is lost again at once does not spin; one that has lasted begins with a short pause."""
    keeper = Keeper()
    with FakeClock() as clock:
        kept = registrations(keeper)
        await kept.register(ONE)
        for _ in range(100):
            keeper.lose()
            await clock.advance(0.1)
        assert keeper.log.count("hold v1") < 12
        while kept.trouble(ONE):
            await clock.advance(1)
        await clock.advance(10)
        keeper.log.clear()
        keeper.lose()
        await clock.advance(0.25)
        assert keeper.log == ["lost", "hold v1"]
        await kept.aclose()


async def test_an_attempt_that_hangs() -> None:
    """An attempt is given up after its time, and another one made; one that has succeeded has no limit."""
    keeper = Keeper()
    keeper.hangs = True
    with FakeClock() as clock:
        kept = registrations(keeper)
        registering = asyncio.create_task(kept.register(ONE))
        await clock.advance(0)
        assert kept.trouble(ONE) == "it is being registered"
        await clock.advance(3)
        assert kept.trouble(ONE) == "TimeoutError: no answer within 3 s"
        keeper.hangs = False
        keeper.fails = TimeoutError("a time-out of the driver's own")
        await clock.advance(0.2)
        assert kept.trouble(ONE) == "TimeoutError: a time-out of the driver's own"
        keeper.fails = None
        await clock.advance(0.4)
        await registering
        await clock.advance(1000)
        assert kept.trouble(ONE) == ""
        await kept.aclose()


async def test_deregistering_ends_our_part_first() -> None:
    """The record is removed when nobody keeps it any more, and again for each time it is asked."""
    keeper = Keeper()
    kept = registrations(keeper)
    await kept.register(ONE)
    await asyncio.gather(kept.deregister(ONE), kept.deregister(ONE))
    await kept.deregister(ONE)
    assert keeper.log == ["hold v1", *["forget, while [] is held"] * 3]
    assert kept.trouble(ONE) == "it is not registered"


@pytest.mark.parametrize("is_deaf", [False, True])
async def test_gone_is_gone(is_deaf: bool) -> None:
    """Whatever the registry does afterwards, and whatever a driver makes of its cancellation, nothing comes back."""
    keeper = Keeper()
    keeper.is_deaf = is_deaf
    with FakeClock() as clock:
        kept = registrations(keeper)
        await kept.register(ONE)
        keeper.fails = ServiceUnavailable("no registry", reason="DOWN")
        keeper.lose()
        await clock.advance(1)
        with pytest.raises(ServiceUnavailable):
            await kept.deregister(ONE)
        keeper.fails = None
        keeper.log.clear()
        await clock.advance(100)
        await kept.register(ONE)
        await kept.deregister(ONE)
        await clock.advance(100)
        assert keeper.log == ["hold v1", "forget, while [] is held"]


async def test_a_deregistration_that_hangs() -> None:
    """It is bounded, also where the driver ignores that it was cancelled."""
    keeper = Keeper()
    with FakeClock() as clock:
        kept = registrations(keeper)
        await kept.register(ONE)
        keeper.hangs = True
        leaving = asyncio.create_task(kept.deregister(ONE))
        await clock.advance(3)
        with pytest.raises(TimeoutError, match=r"etcd: shop \(1\) was not deregistered within 3 s"):
            await leaving

        class Stubborn(Keeper):
            async def hold(self, instance: Instance, found: Callable[[], None], /) -> None:
                found()
                until = clock() + 5
                while clock() < until:
                    try:
                        await asyncio.sleep(5)
                    except asyncio.CancelledError:
                        found()  # late, and nobody listens

        stubborn = Stubborn()
        kept = registrations(stubborn)
        await kept.register(ONE)
        leaving = asyncio.create_task(kept.deregister(ONE))
        await clock.advance(1)
        await leaving
        assert stubborn.log == ["forget, while [] is held"]
        await clock.advance(10)


async def test_who_deregisters_may_leave() -> None:
    """Being cancelled half-way is fine: the removal goes on by itself, and what comes after it waits for it."""
    keeper, meter = Keeper(), PrometheusMeter()
    with FakeClock() as clock:
        kept = registrations(keeper)
        kept.measure(meter)
        await kept.register(ONE)
        keeper.hangs = True
        leaving = asyncio.create_task(kept.deregister(ONE))
        await clock.settle()
        leaving.cancel()
        await clock.settle()
        assert leaving.cancelled()
        assert gauge(meter) == []
        coming = asyncio.create_task(kept.register(TWO))
        await clock.advance(2.9)
        assert "hold v2" not in keeper.log
        keeper.hangs = False
        await clock.advance(0.2)
        await coming
        assert keeper.held == {"v2"}
        await kept.deregister(TWO)


async def test_an_update() -> None:
    """The last word counts; while one record takes the place of another nobody hears of trouble."""
    keeper = Keeper()
    kept = registrations(keeper)
    await kept.register(ONE)
    updating = asyncio.create_task(kept.register(TWO))
    await asyncio.sleep(0)
    assert kept.trouble(TWO) == ""
    await updating
    assert keeper.held == {"v2"}
    many = [asyncio.create_task(kept.register(Instance("1", "shop", f"v{number}"))) for number in range(3, 10)]
    results = await asyncio.gather(*many, return_exceptions=True)
    assert results[-1] is None
    assert all("another word about this id came meanwhile" in str(each) for each in results[:-1])
    assert keeper.held == {"v9"}
    await kept.aclose()
    assert not keeper.held
    await kept.aclose()


async def test_who_registers_may_leave() -> None:
    """Only a deregistration ends a registration."""
    keeper = Keeper()
    keeper.fails = ConnectionRefusedError("no registry")
    with FakeClock() as clock:
        kept = registrations(keeper)
        registering = asyncio.create_task(kept.register(ONE))
        await clock.settle()
        registering.cancel()
        await clock.settle()
        assert registering.cancelled()
        keeper.fails = None
        await clock.advance(1)
        assert keeper.held == {"v1"}
        await kept.deregister(ONE)


async def test_what_can_never_be_registered(caplog: pytest.LogCaptureFixture) -> None:
    """It is refused at once; where it was registered before, a refusal is a failure like any other."""
    keeper = Keeper()
    keeper.fails = InvalidInstance("the id is too long")
    with FakeClock() as clock:
        kept = registrations(keeper)
        with pytest.raises(InvalidInstance, match="too long"):
            await kept.register(ONE)
        await clock.advance(100)
        assert keeper.log == ["hold v1"]
        assert "etcd: shop (1) cannot be registered: the id is too long" in caplog.text
        keeper.fails = None
        await kept.register(ONE)
        keeper.fails = InvalidInstance("suddenly")
        keeper.lose()
        await clock.advance(1)
        keeper.fails = None
        await clock.advance(10)
        assert keeper.held == {"v1"}
        await kept.aclose()


async def test_defects_have_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """A driver's mistake is shown with its place, what a network does is not."""
    for failure, is_defect in ((KeyError("x"), True), (ConnectionError("y"), False), (ServiceUnavailable("z"), False)):
        caplog.clear()
        keeper = Keeper()
        keeper.fails = failure
        with FakeClock() as clock:
            kept = registrations(keeper)
            registering = asyncio.create_task(kept.register(ONE))
            await clock.settle()
            await kept.aclose()
            with pytest.raises(RuntimeError, match="another word"):
                await registering
        assert [bool(each.exc_info) for each in caplog.records] == [is_defect]
        assert "is not registered yet" in caplog.text


@pytest.mark.parametrize("name", ["attempt", "first", "last"])
def test_patience_is_positive(name: str) -> None:
    """Times that make no sense are refused."""
    with pytest.raises(ValueError, match=f"{name} is 0: it must be a positive number"):
        Patience(**{name: 0})
    with pytest.raises(ValueError, match="grace is -1"):
        Patience(grace=-1)
