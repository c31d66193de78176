"""The health service, judged by grpcio's own client for it: per service, watched, and driven by the app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse, HealthListRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from roundtrip.service import Kinds

from kratos import App, Call, GRPCClient, GRPCServer
from kratos.app import Shutdown
from kratos.call import AppInfo
from kratos.errors import Forbidden
from kratos.handler import Handler
from kratos.operation import Unary
from kratos.service import Service
from kratos.transport.grpc import Health, Limits
from kratos.transport.grpc.health import CHECK
from kratos.wire.grpc.health.v1 import health_pb

SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
KINDS = "fixture.kinds.v1.Kinds"
HEALTH = "grpc.health.v1.Health"


async def deny(request: Any, call: Call, following: Handler) -> Any:
    """Lets nobody in."""
    raise Forbidden("nobody comes in here")


@asynccontextmanager
async def asking(address: str) -> AsyncIterator[Any]:
    """Yields grpcio's client of the health service."""
    async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield HealthStub(channel)  # type: ignore[no-untyped-call]  # generated without types


async def status(stub: Any, service: str = "") -> int:
    reply = await stub.Check(HealthCheckRequest(service=service), timeout=20)
    return int(reply.status)


async def following(watch: Any) -> int:
    """Returns what a watcher hears next."""
    async with asyncio.timeout(20):
        reply = await watch.read()
    assert isinstance(reply, HealthCheckResponse)
    return int(reply.status)


async def test_follows_the_app(engine: str) -> None:
    """Server and services serve while the app is ready; watchers hear of its end, and do not hold it up."""
    server = GRPCServer("127.0.0.1:0", engine=engine)  # type: ignore[arg-type]  # one of the two
    app = App(name="t", services=[Kinds()], servers=[server], shutdown=Shutdown(finish=600, drain=0))
    async with app:
        address = app.info.endpoints[0].removeprefix("grpc://")
        stub_of = asking(address)
        stub = await stub_of.__aenter__()
        assert [await status(stub, name) for name in ("", KINDS, HEALTH)] == [SERVING] * 3
        watches = [stub.Watch(HealthCheckRequest(service=name)) for name in ("", KINDS)]
        assert [await following(watch) for watch in watches] == [SERVING] * 2
    assert [await following(watch) for watch in watches] == [NOT_SERVING] * 2
    for watch in watches:
        with pytest.raises(grpc.aio.AioRpcError, match="the server is stopping") as ended:
            await watch.read()
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    await stub_of.__aexit__(None, None, None)


async def test_not_ready_yet(serve: Any) -> None:
    """A server whose app is not ready says so; it is asked again, and watchers hear of the change."""
    served = await serve()
    info: AppInfo = served.server._dispatcher.app
    async with asking(served.address) as stub:
        watch = stub.Watch(HealthCheckRequest())
        assert (await following(watch), await status(stub)) == (NOT_SERVING, NOT_SERVING)
        info.readiness.set(True)
        assert (await following(watch), await status(stub)) == (SERVING, SERVING)
        watch.cancel()


async def test_unknown_services(serve: Any) -> None:
    """Check fails with NOT_FOUND; Watch says SERVICE_UNKNOWN and waits; List knows all."""
    served = await serve()
    async with asking(served.address) as stub:
        with pytest.raises(grpc.aio.AioRpcError, match="no service 'shop' is served here") as failure:
            await status(stub, "shop")
        assert failure.value.code() is grpc.StatusCode.NOT_FOUND
        watch = stub.Watch(HealthCheckRequest(service="shop"))
        assert await following(watch) == SERVICE_UNKNOWN
        watch.cancel()
        listed = await stub.List(HealthListRequest(), timeout=20)
        assert {name: one.status for name, one in listed.statuses.items()} == dict.fromkeys(
            ("", KINDS, HEALTH), NOT_SERVING
        )


async def test_said_of_one_service(engine: str) -> None:
    """One's own ``Health`` says more: of a service, or of the whole server; a watcher hears each change once."""
    health = Health()
    server = GRPCServer("127.0.0.1:0", services=[health], engine=engine)  # type: ignore[arg-type]  # one of the two
    app = App(name="t", services=[Kinds()], servers=[server], shutdown=Shutdown(finish=1, drain=0))
    async with app, asking(app.info.endpoints[0].removeprefix("grpc://")) as stub:
        watch = stub.Watch(HealthCheckRequest(service=KINDS))
        assert await following(watch) == SERVING
        health.set(KINDS, serving=False)
        assert await following(watch) == NOT_SERVING
        assert (await status(stub), await status(stub, KINDS)) == (SERVING, NOT_SERVING)
        health.set("", serving=False)
        assert await status(stub) == NOT_SERVING
        health.set("", serving=True)
        health.set(KINDS, serving=True)
        assert (await following(watch), await status(stub)) == (SERVING, SERVING)
        with pytest.raises(ValueError, match=f"no service 'shop' is served here; there are: .*{KINDS}"):
            health.set("shop", serving=False)
        watch.cancel()


async def test_beside_middleware_and_limits(serve: Any) -> None:
    """Neither middleware nor the cap on calls keeps anybody from asking."""
    served = await serve(middleware=[deny], limits=Limits(max_calls=1))
    async with asking(served.address) as stub:
        watches = [stub.Watch(HealthCheckRequest()) for _ in range(3)]
        assert [await following(watch) for watch in watches] == [NOT_SERVING] * 3
        assert await status(stub) == NOT_SERVING
        for watch in watches:
            watch.cancel()
    with pytest.raises(Forbidden):
        await KindsClient(served.client()).echo(Ping())


async def test_again_after_a_stop(engine: str) -> None:
    """A server that starts again is watched again."""
    health = Health()
    server = GRPCServer("127.0.0.1:0", services=[health], engine=engine)  # type: ignore[arg-type]  # one of the two
    app = App(name="t", servers=[server], shutdown=Shutdown(finish=1, drain=0))
    for _ in range(2):
        async with app, asking(app.info.endpoints[0].removeprefix("grpc://")) as stub:
            watch = stub.Watch(HealthCheckRequest())
            assert await following(watch) == SERVING
            health.set("", serving=False)
            assert await following(watch) == NOT_SERVING
            health.set("", serving=True)


async def test_one_of_ones_own(serve: Any) -> None:
    """A service of the same name takes the place of ours."""

    class Theirs(Service):
        __operations__ = (("check", CHECK),)

        async def check(self, request: health_pb.HealthCheckRequest, call: Call) -> health_pb.HealthCheckResponse:
            return health_pb.HealthCheckResponse(status=health_pb.HealthCheckResponse.ServingStatus.UNKNOWN)

    served = await serve(services=[Theirs()])
    async with asking(served.address) as stub:
        assert await status(stub) == 0
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await stub.List(HealthListRequest(), timeout=20)
        assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_by_our_client(serve: Any) -> None:
    """Our client asks other servers with the same definitions."""
    served = await serve()
    async with GRPCClient(served.address) as client:
        reply = await client.unary(CHECK, health_pb.HealthCheckRequest(), {}, {})
    assert reply == health_pb.HealthCheckResponse(status=health_pb.HealthCheckResponse.ServingStatus.NOT_SERVING)


async def test_watchers_leave_nothing_behind(serve: Any) -> None:
    """A watcher that leaves is forgotten, though nothing changes."""
    served = await serve()
    health = served.server._own[0]
    async with asking(served.address) as stub:
        watches = [stub.Watch(HealthCheckRequest()) for _ in range(20)]
        assert {await following(watch) for watch in watches} == {NOT_SERVING}
        assert len(health._watchers) == 20
        for watch in watches:
            watch.cancel()
        async with asyncio.timeout(20):
            while health._watchers:
                await asyncio.sleep(0.01)


class Held(Kinds):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = 0
        self.go = asyncio.Event()

    async def echo(self, request: Ping, call: Call) -> Pong:
        self.inside += 1
        await self.go.wait()
        return Pong(text=request.text)

    async def watch(self, request: Ping, call: Call) -> AsyncIterator[Pong]:
        self.inside += 1
        await self.go.wait()
        yield Pong()


async def test_cap_on_calls(serve: Any) -> None:
    """Calls beyond the cap are refused, whatever their kind, and middleware hears of them; others make room."""
    heard: list[str] = []

    async def hear(request: Any, call: Call, following: Handler) -> Any:
        try:
            return await following(request, call)
        except Exception as failure:
            heard.append(getattr(failure, "reason", ""))
            raise

    held = Held()
    served = await serve(held, middleware=[hear], limits=Limits(max_calls=2))
    api = KindsClient(served.client())
    waiting = [asyncio.create_task(api.echo(Ping(text="a"), timeout=30))]

    async def watched() -> None:
        async with api.watch(Ping(), timeout=30) as replies:
            assert [reply async for reply in replies] == [Pong()]

    waiting.append(asyncio.create_task(watched()))  # type: ignore[arg-type]  # both are only awaited
    async with asyncio.timeout(20):
        while held.inside < 2:
            await asyncio.sleep(0.005)
    stubs = {
        method: served.stub(method)(*([Ping().to_binary()] if method in ("Echo", "Watch") else []))
        for method in ("Echo", "Watch", "Collect", "Chat")
    }
    for call in stubs.values():
        with pytest.raises(grpc.aio.AioRpcError, match="2 calls are under way here already") as refused:
            await (call.read() if hasattr(call, "read") else call)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert heard == ["TOO_MANY_CALLS"] * 4
    held.go.set()
    await asyncio.gather(*waiting)
    assert (await api.echo(Ping(text="b"))).text == "b"


def test_operations_are_the_standard() -> None:
    """Names as gRPC defines them."""
    names = [operation.name for _, operation in Health.__operations__]
    assert names == [f"/{HEALTH}/{method}" for method in ("Check", "List", "Watch")]
    assert all(isinstance(each, Unary) for _, each in Health.__operations__[:2])
