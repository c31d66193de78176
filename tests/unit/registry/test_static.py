"""Instances that are written down."""

from __future__ import annotations

import asyncio

import pytest

from kratos.live import Live
from kratos.registry import Instance, StaticDiscovery


async def test_urls() -> None:
    """A URL is an instance."""
    discovery = StaticDiscovery({"shop": ["grpc://b:1", "http://a:1", "grpc://b:1"]})
    assert await anext(discovery.watch("shop", "grpc")) == (Instance("grpc://b:1", "shop", endpoints=("grpc://b:1",)),)
    assert [each.id for each in await anext(discovery.watch("shop"))] == ["grpc://b:1", "http://a:1"]


async def test_live() -> None:
    """What is live is followed; what makes no sense does not count."""
    services = Live({"shop": ["grpc://a:1"], "bank": ["grpc://x:1"]})
    discovery = StaticDiscovery(services)
    lists = discovery.watch("shop")
    assert [each.id for each in await anext(lists)] == ["grpc://a:1"]
    with pytest.raises(ValueError, match="'a:1', listed for 'shop', is no URL"):
        services.set({"shop": ["a:1"]})
    waiting = asyncio.ensure_future(anext(lists))
    await asyncio.sleep(0)
    services.set({"shop": ["grpc://a:1"]})
    await asyncio.sleep(0)
    assert not waiting.done()
    services.set({"shop": ["grpc://b:1"]})
    assert [each.id for each in await waiting] == ["grpc://b:1"]
    services.set({})
    assert await anext(lists) == ()
    waiting = asyncio.ensure_future(anext(lists))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    services.set({"shop": ["grpc://c:1"]})  # nobody listens any more


def test_what_makes_no_sense() -> None:
    """Half a URL, and an instance of another service, are refused."""
    with pytest.raises(ValueError, match="'shop.example', listed for 'shop', is no URL such as"):
        StaticDiscovery({"shop": ["shop.example"]})
    with pytest.raises(ValueError, match="instance '1' is listed for 'shop', and says that it is 'bank'"):
        StaticDiscovery({"shop": [Instance("1", "bank")]})
