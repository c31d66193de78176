"""An app makes itself known, whether or not the registry is there. The clock is a fake one."""

from __future__ import annotations

import asyncio

import pytest

from kratos.registry import Instance, InvalidInstance, MemoryRegistry, Registration
from kratos.registry.announcing import Announcement
from kratos.testing import FakeClock

ONE = Instance("1", "shop", endpoints=("grpc://a:1",))


class Registrar:
    """Does what a test says, and does not try again by itself."""

    def __init__(self, fails: Exception | None = None) -> None:
        self.fails = fails
        self.hangs = False
        self.log: list[str] = []

    async def register(self, instance: Instance, /) -> None:
        self.log.append("register")
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails is not None:
            raise self.fails

    async def deregister(self, instance: Instance, /) -> None:
        self.log.append("deregister")


class Supervised(Registrar):
    """Knows how registrations stand."""

    told = "no registry"

    def trouble(self, instance: Instance, /) -> str:
        assert instance == ONE
        return self.told


async def test_known_from_begin_to_end() -> None:
    """It can be found in between."""
    registry = MemoryRegistry()
    announcement = Announcement(registry, ONE, Registration())
    assert announcement.trouble == "it is being registered"
    await announcement.begin()
    assert announcement.trouble == ""
    assert await anext(registry.watch("shop")) == (ONE,)
    await announcement.end()
    assert await anext(registry.watch("shop")) == ()


async def test_a_registry_that_refuses(caplog: pytest.LogCaptureFixture) -> None:
    """A start goes on at once, loudly, and a registrar that gives up is asked again until it does not."""
    registrar = Registrar(ConnectionRefusedError("no registry"))
    with FakeClock() as clock:
        announcement = Announcement(registrar, ONE, Registration())
        await announcement.begin()
        assert announcement.trouble == "ConnectionRefusedError: no registry"
        assert "shop serves, but is not registered yet: ConnectionRefusedError: no registry" in caplog.text
        for _ in range(60):
            await clock.advance(1)
        assert len(registrar.log) > 10
        registrar.fails = None
        await clock.advance(5)
        assert announcement.trouble == ""
        assert "shop is registered, after" in caplog.text
        await announcement.end()
        assert registrar.log[-2:] == ["register", "deregister"]
        await clock.advance(100)
        assert registrar.log[-1] == "deregister"


async def test_a_registry_that_hangs(caplog: pytest.LogCaptureFixture) -> None:
    """A start waits for it as long as was said, and goes on."""
    registrar = Supervised()
    registrar.hangs = True
    with FakeClock() as clock:
        announcement = Announcement(registrar, ONE, Registration(wait=2))
        beginning = asyncio.create_task(announcement.begin())
        await clock.advance(1.9)
        assert not beginning.done()
        await clock.advance(0.2)
        await beginning
        assert "not registered yet: no registry" in caplog.text
        await announcement.end()
        assert registrar.log == ["register", "deregister"]


async def test_required() -> None:
    """A start that needs the registry fails without it, and says why."""
    with pytest.raises(ConnectionRefusedError):
        await Announcement(Registrar(ConnectionRefusedError()), ONE, Registration(required=True)).begin()
    registrar = Supervised()
    registrar.hangs = True
    with FakeClock() as clock:
        announcement = Announcement(registrar, ONE, Registration(required=True))
        beginning = asyncio.create_task(announcement.begin())
        await clock.advance(5)
        with pytest.raises(TimeoutError, match="shop is not registered after 5 s: no registry"):
            await beginning
        await announcement.end()


async def test_what_can_never_be_registered() -> None:
    """It fails a start, required or not: waiting would not help."""
    with pytest.raises(InvalidInstance, match="too long"):
        await Announcement(Registrar(InvalidInstance("too long")), ONE, Registration()).begin()


async def test_a_late_refusal(caplog: pytest.LogCaptureFixture) -> None:
    """A registry that comes late and then refuses is told to the log, and not asked again."""
    registrar = Registrar(ConnectionRefusedError("no registry"))
    with FakeClock() as clock:
        announcement = Announcement(registrar, ONE, Registration())
        await announcement.begin()
        registrar.fails = InvalidInstance("too long")
        await clock.advance(5)
        asked = len(registrar.log)
        await clock.advance(100)
        assert len(registrar.log) == asked
        assert "shop can never be registered: too long" in caplog.text
        assert announcement.trouble == "InvalidInstance: too long"


async def test_leaving_without_having_come() -> None:
    """What never began is deregistered all the same: an earlier attempt may have reached the registry."""
    registrar = Registrar()
    await Announcement(registrar, ONE, Registration()).end()
    assert registrar.log == ["deregister"]


def test_options() -> None:
    """A wait that makes no sense is refused."""
    with pytest.raises(ValueError, match="wait is 0"):
        Registration(wait=0)
