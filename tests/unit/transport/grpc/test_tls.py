"""gRPC over TLS: who is trusted, who calls, what is said when that fails, and certificates that are renewed."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import h2.events
import pytest
import trustme
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Kinds
from unit.transport.certificates import Certificates
from unit.transport.grpc.rig import PREFIX, recorded

from kratos import TLS, App, Call, GRPCClient, GRPCServer
from kratos.app import Shutdown
from kratos.call import Certificate
from kratos.errors import ServiceUnavailable
from kratos.registry import Instance, MemoryRegistry


@pytest.fixture
def made(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


class Asked(Kinds):
    """Notes who calls."""

    def __init__(self) -> None:
        super().__init__()
        self.peers: list[Any] = []

    async def echo(self, request: Ping, call: Call) -> Pong:
        self.peers.append(call.peer)
        return Pong(text=request.text)


@asynccontextmanager
async def running(tls: TLS | None = None, **options: Any) -> AsyncIterator[tuple[Asked, str]]:
    """Serves; yields the service and the port."""
    service = Asked()
    server = GRPCServer("127.0.0.1:0", tls=tls, **options)
    async with App(name="shop", services=[service], servers=[server], shutdown=Shutdown(finish=1, drain=0)):
        yield service, server.endpoint.rpartition(":")[2]


async def echo(client: GRPCClient) -> str:
    async with client:
        return (await KindsClient(client).echo(Ping(text="a"), timeout=20)).text


async def failure(client: GRPCClient) -> str:
    """Returns what a call fails with; a stream must fail with the same."""
    async with client:
        with pytest.raises(ServiceUnavailable) as unary:
            await KindsClient(client).echo(Ping(), timeout=20)
        with pytest.raises(ServiceUnavailable) as stream:
            async with KindsClient(client).watch(Ping(), timeout=20) as replies:
                await anext(replies)
    assert unary.value.reason == stream.value.reason == "CONNECTION_FAILED"
    assert unary.value.message == stream.value.message
    return unary.value.message


async def test_both_ends_show_who_they_are(made: Certificates) -> None:
    """With an authority on the server each call knows the names of its client; without one it knows none."""
    ours = made.mutual(made.issue("client", "orders.shop", "10.1.2.3", common_name="orders"))
    async with running(made.mutual(made.issue("server"))) as (service, port):
        assert await echo(GRPCClient(f"grpcs://localhost:{port}", tls=ours)) == "a"
        certificate = service.peers[0].certificate
        assert certificate == Certificate("orders", ("orders.shop", "10.1.2.3"))
        assert re.fullmatch(r"127\.0\.0\.1:\d+", service.peers[0].address)
        another = made.mutual(made.issue("another", "billing.shop"))
        assert await echo(GRPCClient(f"grpcs://localhost:{port}", tls=another)) == "a"
        assert service.peers[1].certificate == Certificate("", ("billing.shop",))
    async with running(made.issue("server")) as (service, port):
        assert await echo(GRPCClient(f"grpcs://localhost:{port}", tls=ours)) == "a"
        assert service.peers[0].certificate is None


async def test_plain_grpcio_client(made: Certificates) -> None:
    """A client of grpcio with the authority's certificate is served; the endpoint says that it is TLS."""
    async with running(made.issue("server")) as (_, port):
        credentials = grpc.ssl_channel_credentials(made.ca.read_bytes())
        async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
            reply = await channel.unary_unary(PREFIX + "Echo")(Ping(text="b").to_binary(), timeout=20)
        assert Pong.from_binary(reply).text == "b"
    assert GRPCServer("127.0.0.1:1", tls=made.issue("server")).endpoint == "grpcs://127.0.0.1:1"


@pytest.mark.parametrize("target", ["localhost:{}", "grpcs://localhost:{}", "direct:///localhost:{}"])
async def test_targets(made: Certificates, target: str) -> None:
    """Certificates alone are enough to say that it is TLS."""
    async with running(made.issue("server")) as (_, port):
        assert await echo(GRPCClient(target.format(port), tls=TLS(ca=made.ca))) == "a"


async def test_discovery(made: Certificates) -> None:
    """With certificates a service is called at its grpcs endpoints, where it shows a certificate of its own name."""
    registry = MemoryRegistry()
    async with running(made.issue("server", "shop")) as (secure, port), running() as (plain, other):
        endpoints = (f"grpcs://127.0.0.1:{port}", f"grpc://127.0.0.1:{other}")
        await registry.register(Instance("1", "shop", endpoints=endpoints))
        await registry.register(Instance("2", "store", endpoints=endpoints))
        assert await echo(GRPCClient("discovery:///shop", discovery=registry, tls=TLS(ca=made.ca))) == "a"
        assert await echo(GRPCClient("discovery:///shop", discovery=registry)) == "a"
        assert (len(secure.peers), len(plain.peers)) == (1, 1)
        said = await failure(GRPCClient("discovery:///store", discovery=registry, tls=TLS(ca=made.ca)))
        assert "it is for another name" in said
        named = TLS(ca=made.ca, server_name="shop")
        assert await echo(GRPCClient("discovery:///store", discovery=registry, tls=named)) == "a"


async def test_authority_is_the_service() -> None:
    """Under discovery ``:authority`` is the name of the service, else the address, as with Kratos for Go."""
    async with recorded() as (address, events):
        registry = MemoryRegistry()
        await registry.register(Instance("1", "shop.orders", endpoints=(f"grpc://{address}",)))
        for client in (GRPCClient(address), GRPCClient("discovery:///shop.orders", discovery=registry)):
            async with client:
                with pytest.raises(ServiceUnavailable):
                    await KindsClient(client).echo(Ping(), timeout=20)
    asked = [dict(event.headers or ()) for event in events if isinstance(event, h2.events.RequestReceived)]
    assert [headers[b":authority"].decode() for headers in asked] == [address, "shop.orders"]


async def test_whom_it_does_not_trust(made: Certificates) -> None:
    """What is wrong with a certificate is said, and what to do about it."""
    async with running(made.issue("server")) as (_, port):
        url = f"grpcs://localhost:{port}"
        said = await failure(GRPCClient(url))
        assert said.endswith("unable to get local issuer certificate; trust its authority by TLS(ca=...)")
        for wrong in (
            GRPCClient(f"grpcs://127.0.0.1:{port}", tls=TLS(ca=made.ca)),
            GRPCClient(url, tls=TLS(ca=made.ca, server_name="other.shop")),
        ):
            said = await failure(wrong)
            assert said.endswith("it is for another name; TLS(server_name=...) says which one to expect")
        named = TLS(ca=made.ca, server_name="localhost")
        assert await echo(GRPCClient(f"grpcs://127.0.0.1:{port}", tls=named)) == "a"
    async with running(made.expired()) as (_, port):
        said = await failure(GRPCClient(f"grpcs://localhost:{port}", tls=TLS(ca=made.ca)))
        assert said.endswith("its certificate is not accepted: certificate has expired")


async def test_who_is_not_wanted(made: Certificates) -> None:
    """A plain server is found out, so is a plain client, and one whom the server does not want."""
    async with running() as (_, port):
        said = await failure(GRPCClient(f"grpcs://localhost:{port}", tls=TLS(ca=made.ca)))
        assert said.endswith("it does not speak TLS; grpc:// may be what it wants")
    stranger = made.mutual(made.issue("stranger", by=trustme.CA()))
    async with running(made.mutual(made.issue("server"))) as (service, port):
        for tls in (TLS(ca=made.ca), stranger):
            said = await failure(GRPCClient(f"grpcs://localhost:{port}", tls=tls))
            assert said.endswith("does it want a certificate of ours, or another one?")
        said = await failure(GRPCClient(f"grpc://localhost:{port}"))
        assert said.endswith("does it want TLS, by grpcs://?")
        assert service.peers == []


def spoil(path: Any) -> None:
    Path(path).write_text("nothing")


async def test_renewal(made: Certificates, caplog: pytest.LogCaptureFixture) -> None:
    """A certificate that is replaced is taken by the next connection; one that is of no use is not."""
    caplog.set_level(logging.INFO, "kratos.tls")
    tls = made.issue("server")
    async with running(tls) as (_, port):
        url = f"grpcs://localhost:{port}"
        assert await echo(GRPCClient(url, tls=TLS(ca=made.ca))) == "a"
        made.issue("server", "renewed.shop")
        assert await echo(GRPCClient(url, tls=TLS(ca=made.ca, server_name="renewed.shop"))) == "a"
        assert tls.cert is not None
        spoil(tls.cert)
        assert await echo(GRPCClient(url, tls=TLS(ca=made.ca, server_name="renewed.shop"))) == "a"
    said = [record.getMessage() for record in caplog.records if record.name == "kratos.tls"]
    assert [line.partition(":")[0] for line in said] == [
        "a new certificate is served",
        "the certificate of before is served on",
    ]


async def test_files_that_cannot_be_used(made: Certificates, tmp_path: Path) -> None:
    """What is wrong is said when a client is made, and when a server starts."""
    tls = made.issue("server")
    assert tls.cert is not None
    with pytest.raises(ValueError, match=r"nothing\.pem cannot be read"):
        GRPCClient("grpcs://localhost:1", tls=TLS(ca=tmp_path / "nothing.pem"))
    encrypted = TLS(cert=tls.cert, key=tls.key, password="secret")  # noqa: S106 - of a key of this test
    with pytest.raises(ValueError, match="is encrypted, which grpcio cannot read: write it without a password"):
        GRPCClient("grpcs://localhost:1", tls=encrypted)
    for wrong, words in (
        (TLS(ca=made.ca), "a server needs a certificate"),
        (TLS(cert=tls.cert, key=made.issue("other").key), "cannot be used: KEY_VALUES_MISMATCH"),
        (encrypted, "is encrypted, which grpcio cannot read"),
    ):
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:0: .*{words}"):
            async with running(wrong):
                pass


def test_contradictions(made: Certificates) -> None:
    """What cannot be is refused when a client or a server is made."""
    tls = made.issue("server")
    for target in ("grpc://localhost:1", "unix:/run/shop.sock"):
        with pytest.raises(ValueError, match="has no TLS: take tls= away, or say grpcs://"):
            GRPCClient(target, tls=TLS(ca=made.ca))
    with pytest.raises(ValueError, match="needs no TLS: what it carries stays on this machine"):
        GRPCServer("unix:/run/shop.sock", tls=tls)
    with pytest.raises(ValueError, match="engine 'native' cannot do tls, compress_over: leave it out"):
        GRPCServer(engine="native", tls=tls, compress_over=1)
