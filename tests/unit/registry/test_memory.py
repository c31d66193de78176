"""The registry in memory."""

from __future__ import annotations

import asyncio

import pytest

from kratos.registry import Instance, MemoryRegistry

ONE = Instance("1", "shop", endpoints=("grpc://a:1", "http://a:2"))
TWO = Instance("2", "shop", endpoints=("http://b:2",))
OTHER = Instance("3", "bank", endpoints=("grpc://c:1",))


async def test_lists_are_complete_and_follow_changes() -> None:
    """A watcher gets the whole list at once and after each change, of its own service only."""
    registry = MemoryRegistry()
    await registry.register(ONE)
    lists = registry.watch("shop")
    assert await anext(lists) == (ONE,)
    await registry.register(OTHER)
    await registry.register(TWO)
    assert await anext(lists) == (ONE, TWO)
    await registry.deregister(ONE)
    await registry.deregister(ONE)
    assert await anext(lists) == (TWO,)
    await registry.deregister(TWO)
    assert await anext(lists) == ()


async def test_an_empty_service_is_told_at_once() -> None:
    """Nobody serving is an answer too."""
    assert await anext(MemoryRegistry().watch("shop")) == ()


async def test_scheme() -> None:
    """Only instances with an endpoint of the scheme are listed."""
    registry = MemoryRegistry()
    await registry.register(ONE)
    await registry.register(TWO)
    assert await anext(registry.watch("shop", "grpc")) == (ONE,)
    assert await anext(registry.watch("shop", "http")) == (ONE, TWO)


async def test_changes_are_merged_and_watchers_forgotten() -> None:
    """Fast changes are one list; a cancelled watcher leaves nothing behind."""
    registry = MemoryRegistry()
    lists = registry.watch("shop")
    assert await anext(lists) == ()
    waiting = asyncio.ensure_future(anext(lists))
    await asyncio.sleep(0)
    await registry.register(ONE)
    await registry.register(TWO)
    assert await waiting == (ONE, TWO)
    waiting = asyncio.ensure_future(anext(lists))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not registry._changed
