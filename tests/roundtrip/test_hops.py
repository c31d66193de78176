"""HTTP to a service that calls another over gRPC: what one hop says, the next one and the caller understand."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Kinds

from kratos.call import Call
from kratos.errors import Error, GatewayTimeout
from kratos.middleware import metadata
from kratos.service import Invoker
from kratos.testing import serve

pytestmark = pytest.mark.usefixtures("engine")  # over both fronts, with the same answers


class Backend(Kinds):
    """Fails with any code, and says what arrived with the call."""

    def __init__(self) -> None:
        super().__init__()
        self.deadlines: list[float | None] = []
        self.facts: list[list[tuple[str, str]]] = []

    async def echo(self, request: Ping, call: Call) -> Pong:
        self.deadlines.append(call.remaining())
        self.facts.append(call.metadata.items())
        if request.count:
            raise Error(f"message {request.count}", code=request.count, reason=f"R{request.count}", metadata={"k": "v"})
        return await super().echo(request, call)


class Front(Kinds):
    """Hands every call on."""

    def __init__(self, backend: Invoker) -> None:
        super().__init__()
        self.backend = KindsClient(backend)

    async def echo(self, request: Ping, call: Call) -> Pong:
        return await self.backend.echo(request)


NATIVE = pytest.param(
    "native", marks=pytest.mark.skipif(not find_spec("pygrpc_native"), reason="needs kratos-py[native]")
)


@pytest.mark.parametrize("engine", ["grpcio", NATIVE])
async def test_errors_deadlines_and_metadata_cross_two_hops(engine: Any) -> None:
    """Codes 400 to 599 arrive whole, `except` works, time shrinks, and facts travel as far as they may."""
    backend = Backend()
    both = [metadata()]
    async with (
        serve(
            backend, transport="grpc", middleware=both, client_middleware=both, client_timeout=10.0, engine=engine
        ) as inner,
        serve(Front(inner), transport="http", middleware=both, client_middleware=both, client_timeout=10.0) as outer,
    ):
        api = KindsClient(outer)
        for code in range(400, 600):
            with pytest.raises(Error) as failure:
                await api.echo(Ping(count=code))
            error = failure.value
            assert (error.code, error.reason, error.message) == (code, f"R{code}", f"message {code}")
            assert error.metadata == {"k": "v"}
        with pytest.raises(Nope):
            await api.echo(Ping(text="nope"))
        headers = {"x-md-global-tenant": "t1", "x-md-local-debug": "1"}
        await api.echo(Ping(text="a"), timeout=1.0, headers=headers)
        left = backend.deadlines[-1]
        assert left is not None
        assert 0 < left < 1.1  # grpcio rounds it up by a hundredth on its way
        assert backend.facts[-1] == [("x-md-global-tenant", "t1")]
        with pytest.raises(GatewayTimeout) as late:
            await api.echo(Ping(text="hang"), timeout=0.2)
        assert late.value.metadata == {"limit": "client"}
