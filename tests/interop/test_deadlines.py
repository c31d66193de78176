"""Time limits between Kratos for Go and us.

Over gRPC a limit travels as ``grpc-timeout``. Over HTTP Go neither sends nor reads one: there each side has its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from interop.conftest import OurServer, connect, serving
from interop.contract import InteropClient, Seen, Thing
from interop.peer import SECONDS, GoClient, GoServer, from_json
from kratos.errors import Error, GatewayTimeout

pytestmark = pytest.mark.interop

LIMIT = "5s"


def about_right(reply: Seen) -> bool:
    """Tells whether somebody has the limit, or a little less; where it is their own they have four times as much."""
    return 0 < reply.left < 5100


@pytest.fixture(scope="session")
def brief_go(program: Path) -> Iterator[GoServer]:
    """A Go server that gives calls a moment."""
    server = GoServer(program, "300ms")
    yield server
    server.close()


@pytest.mark.parametrize("whose", ["deadline", "timeout"])
async def test_limit_of_go_arrives(go_rpc: GoClient, whose: str) -> None:
    """Our handler knows what is left of a Go caller's deadline, and of a Go client's timeout."""
    outcome = await go_rpc.call("Get", Thing(name="a"), **{whose: LIMIT})
    (reply,) = from_json(Seen, outcome.replies)
    assert about_right(reply)


@pytest.mark.parametrize("rpc", ["Watch", "Collect", "Chat"])
async def test_limit_of_a_go_stream_arrives(go_rpc: GoClient, rpc: str) -> None:
    """The same for streams, which have none of ours."""
    outcome = await go_rpc.call(rpc, Thing(name="a", count=1), deadline=LIMIT)
    (reply,) = from_json(Seen, outcome.replies)
    assert about_right(reply)
    outcome = await go_rpc.call(rpc, Thing(name="a", count=1))
    (reply,) = from_json(Seen, outcome.replies)
    assert not reply.has_field("left")


@pytest.mark.parametrize("whose", ["deadline", "timeout"])
async def test_limit_of_go_strikes(go_rpc: GoClient, our_server: OurServer, whose: str) -> None:
    """When it is over the Go caller has a 504, and our handler is ended."""
    outcome = await go_rpc.call("Hang", Thing(), **{whose: "300ms"})
    assert outcome.failed()[0] == 504
    await asyncio.wait_for(our_server.service.cancelled.wait(), SECONDS)


async def test_go_gives_up_over_http(go_web: GoClient, our_server: OurServer) -> None:
    """A Go client that hangs up ends what it asked for; what it makes of that itself is no status."""
    outcome = await go_web.call("Hang", Thing(), timeout="300ms")
    assert outcome.error is not None
    await asyncio.wait_for(our_server.service.cancelled.wait(), SECONDS)


@pytest.mark.parametrize("transport", ["http", "grpc", "native"])
async def test_limit_of_our_server(program: Path, transport: str) -> None:
    """Go is told that time is up, and whose limit it was, in the same words over both."""
    async with serving(0.2) as server:
        client = GoClient(program, "http" if transport == "http" else "grpc", server.address(transport))
        code, reason, _, metadata = (await client.call("Hang", Thing())).failed()
        assert (code, reason, metadata) == (504, "DEADLINE_EXCEEDED", {"limit": "server"})
        assert server.service.cancelled.is_set()


async def test_our_limit_arrives(our_client: InteropClient, transport: str) -> None:
    """Go's handler knows what is left of our timeout; over HTTP it has the limit of its server."""
    reply = await our_client.get(Thing(name="a"), timeout=5.0)
    assert about_right(reply) == (transport == "grpc")
    assert reply.has_field("left")


async def test_our_limit_of_a_stream_arrives(our_rpc: InteropClient) -> None:
    """The same for streams."""
    async with our_rpc.watch(Thing(name="a", count=1), timeout=5.0) as replies:
        assert [about_right(reply) async for reply in replies] == [True]
    async with our_rpc.chat(timeout=5.0) as stream:
        await stream.send(Thing(name="a"))
        assert about_right(await anext(aiter(stream)))
    async with our_rpc.watch(Thing(name="a", count=1)) as replies:
        assert [reply.has_field("left") async for reply in replies] == [False]


async def test_our_limit_strikes(our_client: InteropClient) -> None:
    """When it is over our caller has the same error over both."""
    with pytest.raises(GatewayTimeout) as failure:
        await our_client.hang(Thing(), timeout=0.3)
    assert (failure.value.reason, failure.value.metadata) == ("DEADLINE_EXCEEDED", {"limit": "client"})


async def test_limit_of_a_go_server(brief_go: GoServer, transport: str) -> None:
    """What Go says when its own limit is over: DEADLINE_EXCEEDED over gRPC, and a 500 over HTTP."""
    async with connect(transport, brief_go.address(transport)) as conn:
        with pytest.raises(Error) as failure:
            await InteropClient(conn).hang(Thing())
    assert failure.value.code == (504 if transport == "grpc" else 500)
    assert (failure.value.reason, failure.value.message) == ("", "context deadline exceeded")
