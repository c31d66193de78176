"""``HTTPClient`` over TLS, against our own server: whom it trusts, who it is, and what it says when that fails."""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path

import pytest
import trustme
from fixtures.gen.fixture.streams.v1.streams_kratos import StreamsClient
from fixtures.gen.fixture.streams.v1.streams_pb import Note
from unit.transport.certificates import Certificates
from unit.transport.http_server.support import running

from kratos import TLS, HTTPClient
from kratos.errors import ServiceUnavailable
from kratos.registry import Instance, MemoryRegistry


@pytest.fixture
def made(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


async def echo(client: HTTPClient) -> str:
    async with client:
        return (await StreamsClient(client).echo(Note(text="a"), timeout=20)).text


async def failure(client: HTTPClient, reason: str = "CONNECTION_FAILED") -> str:
    """Returns what a call fails with; a WebSocket must fail with the same."""
    async with client:
        api = StreamsClient(client)
        with pytest.raises(ServiceUnavailable) as unary:
            await api.echo(Note(text="a"), timeout=20)
        with pytest.raises(ServiceUnavailable) as stream:
            async with api.collect(timeout=20) as requests:
                await requests.send(Note(room="blue"))
                await requests.reply()
    assert (unary.value.reason, stream.value.reason) == (reason, reason)
    assert unary.value.message == stream.value.message
    return unary.value.message


async def test_every_kind(made: Certificates) -> None:
    """Unary calls, streams of replies and WebSockets, where both ends show who they are."""
    tls = made.mutual(made.issue("client", "orders.shop"))
    async with running(tls=made.mutual(made.issue("server"))) as it:
        async with HTTPClient(f"https://localhost:{it.port}", tls=tls) as client:
            api = StreamsClient(client)
            assert (await api.echo(Note(text="a"), timeout=20)).text == "a"
            async with api.watch(Note(room="blue", text="b", count=2)) as replies:
                assert [reply.count async for reply in replies] == [0, 1]
            async with api.collect() as requests:
                await requests.send(Note(room="blue", text="c"))
                assert (await requests.reply()).count == 1
        names = {call.peer.certificate.names for call in it.service.calls if call.peer.certificate}
        assert (len(it.service.calls), names) == (3, {("orders.shop",)})


@pytest.mark.parametrize("target", ["localhost:{}", "https://localhost:{}", "direct:///localhost:{}"])
async def test_targets(made: Certificates, target: str) -> None:
    """Certificates alone are enough to say that it is TLS."""
    async with running(tls=made.issue("server")) as it:
        assert await echo(HTTPClient(target.format(it.port), tls=TLS(ca=made.ca))) == "a"


async def test_discovery(made: Certificates) -> None:
    """With certificates a service is called at its https endpoints only, without them at its http ones only."""
    registry = MemoryRegistry()
    async with running(tls=made.issue("server")) as secure, running() as plain:
        endpoints = (secure.server.endpoint.replace("127.0.0.1", "localhost"), plain.server.endpoint)
        await registry.register(Instance("1", "shop", endpoints=endpoints))
        assert await echo(HTTPClient("discovery:///shop", discovery=registry, tls=TLS(ca=made.ca))) == "a"
        assert (len(secure.service.calls), len(plain.service.calls)) == (1, 0)
        assert await echo(HTTPClient("discovery:///shop", discovery=registry)) == "a"
        assert (len(secure.service.calls), len(plain.service.calls)) == (1, 1)
        await registry.register(Instance("1", "shop", endpoints=endpoints[1:]))
        async with HTTPClient("discovery:///shop", discovery=registry, tls=TLS(ca=made.ca)) as client:
            with pytest.raises(ServiceUnavailable, match="nobody serves shop over https"):
                await StreamsClient(client).echo(Note(), timeout=20)


async def test_whom_it_does_not_trust(made: Certificates) -> None:
    """What is wrong with a certificate is said, and what to do about it."""
    async with running(tls=made.issue("server")) as it:
        url = f"https://localhost:{it.port}"
        said = await failure(HTTPClient(url))
        assert "unable to get local issuer certificate; trust its authority by TLS(ca=...)" in said
        said = await failure(HTTPClient(f"https://127.0.0.1:{it.port}", tls=TLS(ca=made.ca)))
        assert "not valid for '127.0.0.1'; TLS(server_name=...) expects a name instead" in said
        said = await failure(HTTPClient(url, tls=TLS(ca=made.ca, server_name="other.shop")))
        assert "not valid for 'other.shop'; TLS(server_name=...) expects another name" in said
        named = TLS(ca=made.ca, server_name="localhost")
        assert await echo(HTTPClient(f"https://127.0.0.1:{it.port}", tls=named)) == "a"
    async with running(tls=made.expired()) as it:
        said = await failure(HTTPClient(f"https://localhost:{it.port}", tls=TLS(ca=made.ca)))
        assert said.endswith("its certificate is not accepted: certificate has expired")


async def test_who_does_not_speak_tls(made: Certificates) -> None:
    """A plain server is found out, and so is a client whom a server does not want."""
    async with running() as it:
        said = await failure(HTTPClient(f"https://localhost:{it.port}", tls=TLS(ca=made.ca)))
        assert "does not speak TLS; http:// may be what it wants" in said
    stranger = made.mutual(made.issue("stranger", by=trustme.CA()))
    async with running(tls=made.mutual(made.issue("server"))) as it:
        for tls in (TLS(ca=made.ca), stranger):
            said = await failure(HTTPClient(f"https://localhost:{it.port}", tls=tls), "CONNECTION_LOST")
            assert "does it want a certificate of ours, or another one?" in said


async def test_a_reset_after_the_handshake(made: Certificates) -> None:
    """A server that refuses may leave nothing but a reset behind: the alert that says why is lost on the way."""

    async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    tls = made.issue("server").server_context()
    async with await asyncio.start_server(refuse, "127.0.0.1", 0, ssl=tls) as server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        said = await failure(HTTPClient(url, tls=TLS(ca=made.ca)), "CONNECTION_LOST")
        assert "does it want a certificate of ours, or another one?" in said


def test_contradictions(made: Certificates) -> None:
    """What cannot be is refused when the client is made, and so are files that cannot be used."""
    for target in ("http://localhost:1", "unix:/run/shop.sock"):
        with pytest.raises(ValueError, match="has no TLS: take tls= away, or say https://"):
            HTTPClient(target, tls=TLS(ca=made.ca))
    with pytest.raises(ValueError, match=r"nothing\.pem cannot be read"):
        HTTPClient("https://localhost:1", tls=TLS(ca=made.folder / "nothing.pem"))
