"""An app in a registry: which address others find, and what happens when the registry is away."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kratos import App, GRPCServer, HTTPServer, Shutdown
from kratos.registry import FileRegistry, Instance, MemoryRegistry, Registration
from kratos.registry import advertise as advertising
from kratos.registry.advertise import is_usable

QUICK = Shutdown(drain=0, finish=1)


class Registry(MemoryRegistry):
    """A registry that can be away."""

    is_away = False

    async def register(self, instance: Instance, /) -> None:
        if self.is_away:
            raise ConnectionRefusedError("no registry")
        await super().register(instance)


@pytest.fixture(autouse=True)
def nic(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with one address, and an environment that says nothing."""
    monkeypatch.setattr(advertising, "own_addresses", lambda _: ["127.0.0.1", "10.0.0.7"])
    monkeypatch.delenv("KRATOS_ADVERTISE", raising=False)


async def found(registry: MemoryRegistry | FileRegistry) -> Instance:
    lists: AsyncIterator[tuple[Instance, ...]] = registry.watch("shop")
    async with asyncio.timeout(30):
        async for listed in lists:
            if listed:
                return listed[0]
    raise AssertionError("the watch has ended")


def app(registry: MemoryRegistry | FileRegistry | None, registration: Registration | None = None) -> App:
    servers = [HTTPServer("0.0.0.0:0"), GRPCServer("[::]:0")]
    return App(name="shop", servers=servers, registrar=registry, registration=registration, shutdown=QUICK)


async def test_the_real_port_and_an_address_that_can_be_called() -> None:
    """Every interface and any free port become what others can call; the banner says how to choose."""
    registry = MemoryRegistry()
    async with app(registry) as served:
        http, grpc = (server.endpoint for server in served.servers)
        endpoints = ("http://10.0.0.7:" + http.rpartition(":")[2], "grpc://10.0.0.7:" + grpc.rpartition(":")[2])
        assert (await found(registry)).endpoints == served.info.endpoints == endpoints
        assert all(int(url.rpartition(":")[2]) > 0 for url in endpoints)
        banner = served._banner()
    assert "  registry: in this process only\n" in banner
    assert f"  others call {', '.join(endpoints)} (KRATOS_ADVERTISE chooses another address)\n" in banner


async def test_the_machine_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found out on this very machine can be called, or is told to be nothing."""
    monkeypatch.undo()
    monkeypatch.delenv("KRATOS_ADVERTISE", raising=False)
    registry = MemoryRegistry()
    if not any(is_usable(each) and ":" not in each for each in advertising.own_addresses("")):
        with pytest.raises(OSError, match="cannot be called by others"):
            await app(registry).__aenter__()
        return
    async with app(registry):
        url = (await found(registry)).endpoints[0]
        _, writer = await asyncio.open_connection(url[len("http://") :].rpartition(":")[0], int(url.rpartition(":")[2]))
        writer.close()
        await writer.wait_closed()


async def test_what_was_said_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The option counts, and the environment more."""
    registry = MemoryRegistry()
    async with app(registry, Registration(advertise="shop.example")):
        assert (await found(registry)).endpoints[0].startswith("http://shop.example:")
    monkeypatch.setenv("KRATOS_ADVERTISE", "grpc://lb.example:443")
    async with app(registry, Registration(advertise="shop.example")) as served:
        assert (await found(registry)).endpoints[0].startswith("http://10.0.0.7:")
        assert served.info.endpoints[1] == "grpc://lb.example:443"
    monkeypatch.setenv("KRATOS_ADVERTISE", "shop:80")
    with pytest.raises(ValueError, match="KRATOS_ADVERTISE or advertise is 'shop:80'"):
        await app(registry).__aenter__()


@pytest.mark.parametrize(
    ("variable", "registration", "said"),
    [
        ("shop:80", None, "KRATOS_ADVERTISE or advertise is 'shop:80': it has to be a host without a port"),
        ("10.0.0.0/99", None, "KRATOS_ADVERTISE or advertise is '10.0.0.0/99': .* a network is written as 10.0.0.0/8"),
        ("192.168.0.0/16", None, "this machine has no address in 192.168.0.0/16, .*; set KRATOS_ADVERTISE"),
        ("", Registration(advertise="http://"), "KRATOS_ADVERTISE or advertise has 'http://': it is no URL such as"),
    ],
)
def test_what_is_wrong_is_told(
    monkeypatch: pytest.MonkeyPatch, variable: str, registration: Registration | None, said: str
) -> None:
    """A program that was configured wrongly ends with what is wrong, without a traceback, as under ``kratos run``."""
    monkeypatch.setenv("KRATOS_ADVERTISE", variable)
    with pytest.raises(SystemExit) as end:
        app(MemoryRegistry(), registration).run()
    assert re.match(f"(ValueError: )?{said}", str(end.value.code)), end.value.code


async def test_without_a_registry_nothing_is_changed() -> None:
    """Endpoints stay what the servers say, and there is nothing to be in trouble with."""
    async with app(None) as served:
        assert served.info.endpoints == tuple(server.endpoint for server in served.servers)
        assert served.trouble == ""
        assert "registry" not in served._banner()
    async with app(None, Registration(advertise="shop.example")) as served:
        assert served.info.endpoints[0].startswith("http://shop.example:")


async def test_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that nobody can call is told so, and does not start."""
    monkeypatch.setattr(advertising, "own_addresses", lambda _: ["127.0.0.1"])
    with pytest.raises(OSError, match="set KRATOS_ADVERTISE"):
        await app(MemoryRegistry()).__aenter__()


async def test_a_registry_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """The app serves and is ready, says loudly that nobody finds it, and is found as soon as that can be."""
    registry = Registry()
    registry.is_away = True
    async with app(registry) as served:
        assert served.info.ready
        assert served.trouble == "ConnectionRefusedError: no registry"
        assert "NOT REGISTERED YET: ConnectionRefusedError: no registry" in served._banner()
        assert "shop serves, but is not registered yet" in caplog.text
        registry.is_away = False
        assert (await found(registry)).id == served.info.id
        await asyncio.sleep(0)
        assert served.trouble == ""
    assert await anext(registry.watch("shop")) == ()


def left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_one_registry_for_several(tmp_path: Path) -> None:
    """An app that stops leaves the others where they are, in a registry that they share."""
    registry = FileRegistry(tmp_path, every=0.02)
    async with app(registry) as one:
        async with app(registry):
            pass
        assert (await found(registry)).id == one.info.id
        assert one.trouble == ""
    assert not left(tmp_path)
    await registry.aclose()


async def test_the_line_of_the_log() -> None:
    """Where no person reads the banner, the log has what it says."""
    registry = MemoryRegistry()
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    keep = Keep()
    logging.getLogger("kratos.app").addHandler(keep)
    logging.getLogger().addHandler(keep)
    level = logging.getLogger("kratos.app").level
    logging.getLogger("kratos.app").setLevel(logging.INFO)
    try:
        async with app(registry) as served:
            served._announce("")
            facts = vars(records[0])
            assert facts["registry"] == "in this process only"
            assert facts["registered"] == list(served.info.endpoints)
    finally:
        logging.getLogger("kratos.app").removeHandler(keep)
        logging.getLogger().removeHandler(keep)
        logging.getLogger("kratos.app").setLevel(level)
