"""Our client beside instrumentations for grpcio, which put interceptors before every channel that is made by name."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping

from kratos import GRPCClient
from kratos.call import Reply
from kratos.errors import GatewayTimeout


async def waiting(self: object, following: Any, details: Any, request: Any) -> Any:
    """Hands a call on when it is over, as OpenTelemetry's interceptor does where there is one reply."""
    call = await following(details, request)
    if not hasattr(call, "__aiter__"):
        await call.code()
    return call


INTERCEPTORS = [
    type("Waiting", (base,), {f"intercept_{kind}": waiting})()
    for kind, base in (
        ("unary_unary", grpc.aio.UnaryUnaryClientInterceptor),
        ("unary_stream", grpc.aio.UnaryStreamClientInterceptor),
        ("stream_unary", grpc.aio.StreamUnaryClientInterceptor),
        ("stream_stream", grpc.aio.StreamStreamClientInterceptor),
    )
]


@pytest.fixture
def instrumented(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = grpc.aio.insecure_channel
    monkeypatch.setattr(
        grpc.aio, "insecure_channel", lambda target, options: plain(target, options, interceptors=INTERCEPTORS)
    )


@pytest.mark.usefixtures("instrumented")
async def test_every_kind(serve: Any) -> None:
    """All calls go as they do without."""
    served = await serve()
    async with GRPCClient(served.address, timeout=30) as client:
        api = KindsClient(client)
        reply = Reply()
        assert (await api.echo(Ping(text="a"), reply=reply)).text == "a"
        assert "x-nothing" not in reply.headers
        async with api.watch(Ping(text="a", count=2)) as replies:
            assert [one.text async for one in replies] == ["a", "a"]
        async with api.collect() as requests:
            await requests.send(Ping(text="a"))
            await requests.send(Ping(text="b"))
            assert (await requests.reply()).count == 2
        async with api.chat() as stream:
            await stream.send(Ping(text="a"))
            assert (await anext(aiter(stream))).text == "a"
        with pytest.raises(GatewayTimeout):
            await api.echo(Ping(text="hang"), timeout=0.1)
