"""Addresses of a host are instances. The resolver is the one thing that is replaced; the clock is a fake one."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from kratos.registry import DNSDiscovery, Patience
from kratos.testing import FakeClock


class Resolver:
    """Stands in for the loop's ``getaddrinfo``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.addresses: tuple[str, ...] = ()
        self.fails: Exception | None = None
        self.asked: list[str] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self)

    async def __call__(self, host: str, port: object, **_: Any) -> list[Any]:
        self.asked.append(host)
        if self.fails is not None:
            raise self.fails
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in self.addresses]


async def test_each_address_is_an_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes are told; while DNS does not answer the last list stands; that there is no such host is an answer."""
    with FakeClock() as clock:
        resolver = Resolver(monkeypatch)
        resolver.addresses = ("10.0.0.8", "10.0.0.7", "2a00::1", "10.0.0.8")
        discovery = DNSDiscovery({"grpc": 9000, "http": 80}, host="{name}.default.svc", patience=Patience(last=1))
        lists = discovery.watch("shop", "grpc")
        found = await anext(lists)
        assert resolver.asked == ["shop.default.svc"]
        assert [each.id for each in found] == ["10.0.0.7", "10.0.0.8", "2a00::1"]
        assert found[0].endpoints == ("grpc://10.0.0.7:9000", "http://10.0.0.7:80")
        assert found[2].endpoints == ("grpc://[2a00::1]:9000", "http://[2a00::1]:80")
        waiting = asyncio.ensure_future(anext(lists))
        resolver.fails = socket.gaierror(socket.EAI_AGAIN, "try again")
        for _ in range(30):
            await clock.advance(1)
        assert not waiting.done()
        resolver.fails = None
        await clock.advance(5)
        resolver.addresses = ("10.0.0.7",)
        await clock.advance(5)
        assert [each.id for each in await waiting] == ["10.0.0.7"]
        resolver.fails = socket.gaierror(socket.EAI_NONAME, "no such host")
        waiting = asyncio.ensure_future(anext(lists))
        await clock.advance(5)
        assert await waiting == ()
        await discovery.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(lists)


async def test_a_real_name() -> None:
    """The system's resolver is asked."""
    discovery = DNSDiscovery({"grpc": 9000})
    found = await anext(discovery.watch("localhost"))
    assert {"grpc://127.0.0.1:9000", "grpc://[::1]:9000"} & {url for each in found for url in each.endpoints}
    await discovery.aclose()


async def test_a_name_that_can_be_none(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be a host is said, and nobody is found."""
    with FakeClock() as clock:
        discovery = DNSDiscovery({"grpc": 9000})
        waiting = asyncio.ensure_future(anext(discovery.watch("x" * 64 + ".example")))
        await clock.advance(0.1)
        await discovery.aclose()
        await asyncio.wait([waiting])
    assert "cannot be the name of a host" in caplog.text


def test_options() -> None:
    """What makes no sense is refused."""
    with pytest.raises(ValueError, match=r"ports is \{\}"):
        DNSDiscovery({})
    with pytest.raises(ValueError, match="it needs a port for each scheme"):
        DNSDiscovery({"grpc": 0})
    with pytest.raises(ValueError, match="every is 0"):
        DNSDiscovery({"grpc": 1}, every=0)
    with pytest.raises(ValueError, match="host is ''"):
        DNSDiscovery({"grpc": 1}, host="")
