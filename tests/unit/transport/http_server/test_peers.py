"""Who is calling: the other end of the connection, or whoever trusted proxies vouch for."""

from __future__ import annotations

import pytest
from unit.transport.http_server.support import Running, running
from websockets.asyncio.client import connect

from kratos.call import Peer
from kratos.transport.http import HTTPServer
from kratos.transport.http.peers import peer_of

pytestmark = pytest.mark.usefixtures("engine")  # over both fronts, with the same answers

FORWARDED = {"x_forwarded_for": "1.2.3.4, 203.0.113.9, 10.0.0.3"}


async def peer(it: Running, **headers: str) -> str:
    assert (await it.ask("/echo/a", **headers)).status == 200
    return it.service.calls[-1].peer.address


async def test_direct() -> None:
    """Without proxies, whatever a client says of itself counts for nothing, and nothing is in the way."""
    async with running() as it:
        assert (await peer(it, **FORWARDED, forwarded="for=1.2.3.4")).startswith("127.0.0.1:")
        assert type(it.server._app).__name__ == "ASGIFront"


async def test_behind_proxies() -> None:
    """The last address that no trusted proxy vouches for is the client's; what is before it may be made up."""
    async with running(proxies=["127.0.0.0/8", "10.0.0.0/8"]) as it:
        assert await peer(it, **FORWARDED) == "203.0.113.9"
        assert await peer(it, forwarded='for="[2001:db8::7]:4711";proto=https') == "[2001:db8::7]"
        assert (await peer(it)).startswith("127.0.0.1:")
        assert (await peer(it, x_forwarded_for="nonsense")).startswith("127.0.0.1:")


async def test_strangers_vouch_for_nobody() -> None:
    """What comes from elsewhere than a trusted proxy is not believed."""
    async with running(proxies=["10.0.0.0/8"]) as it:
        assert (await peer(it, **FORWARDED)).startswith("127.0.0.1:")


async def test_websockets() -> None:
    """The same on WebSockets."""
    async with running(proxies=["127.0.0.1"]) as it:
        for headers, address in (({"x-forwarded-for": "203.0.113.9"}, "203.0.113.9"), ({}, "127.0.0.1:")):
            async with connect(f"{it.ws}/chat/blue", additional_headers=headers) as socket:
                await socket.send('{"text": "a"}')
                await socket.recv()
            assert it.service.calls[-1].peer.address.startswith(address)


async def test_ipv6() -> None:
    """An IPv6 address has brackets."""
    async with running(address="[::1]:0") as it:
        reader_writer = await it.raw("::1")
        async with reader_writer as raw:
            await raw.request("/echo/a")
            assert (await raw.answer()).status == 200
        assert it.service.calls[-1].peer.address.startswith("[::1]:")


def test_other_servers() -> None:
    """Under another ASGI server the peer is what the scope says."""
    assert peer_of({"client": ("::1", 5), "extensions": {}}) == Peer("[::1]:5")
    assert peer_of({"client": None}) == Peer()


def test_no_proxies() -> None:
    """What is no address is refused when the server is made."""
    with pytest.raises(ValueError, match="no address or network of a proxy"):
        HTTPServer(proxies=["nginx"])
    with pytest.raises(TypeError, match="is a list"):
        HTTPServer(proxies="10.0.0.0/8")
