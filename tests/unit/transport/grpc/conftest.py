"""A server per test, on each engine, and silence from grpc.aio's poller."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from roundtrip.service import Kinds
from unit.transport.grpc.rig import Served

from kratos.call import AppInfo
from kratos.transport.grpc.server import GRPCServer


@pytest.fixture(autouse=True)
def quiet_poller(monkeypatch: pytest.MonkeyPatch) -> None:
    """grpc.aio's poller complains in the log when one process uses several event loops, as tests do."""
    # Not caplog.at_level(): it would keep the other loggers' lines from the tests.
    monkeypatch.setattr(logging.getLogger("asyncio"), "level", logging.CRITICAL)


NATIVE = pytest.param(
    "native",
    marks=pytest.mark.skipif(not importlib.util.find_spec("pygrpc_native"), reason="needs kratos-py[native]"),
)


@pytest.fixture(params=["grpcio", NATIVE])
def engine(request: pytest.FixtureRequest) -> str:
    """The engine of the servers of a test."""
    return str(request.param)


@pytest.fixture
async def serve(engine: str) -> AsyncIterator[Callable[..., Any]]:
    """Starts servers: ``await serve(service, middleware=[...], **server_options)``."""
    running: list[Served] = []

    async def start(service: Kinds | None = None, middleware: Any = (), **options: Any) -> Served:
        service = service or Kinds()
        server = GRPCServer("127.0.0.1:0", **{"engine": engine, **options})
        server.mount([service], middleware, AppInfo(name="test"))
        await server.start()
        running.append(Served(server, service))
        return running[-1]

    yield start
    for served in running:
        await served.aclose()
