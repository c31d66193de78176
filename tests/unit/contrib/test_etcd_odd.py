"""What a real etcd hardly ever does, said by a server of ours that speaks its API."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import pytest

from kratos import App, GRPCServer
from kratos.call import Call
from kratos.contrib.etcd import EtcdRegistry, EtcdSource
from kratos.contrib.etcd.connection import Connection
from kratos.contrib.etcd.span import Span, follow
from kratos.errors import Error, Forbidden, NotFound, ServiceUnavailable
from kratos.registry import Instance, Patience
from kratos.service import Messages
from kratos.wire.etcd.etcdserverpb.rpc_kratos import KVClient, KVService, LeaseService, WatchService
from kratos.wire.etcd.etcdserverpb.rpc_pb import (
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseKeepAliveRequest,
    LeaseKeepAliveResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
    LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    ResponseHeader,
    TxnRequest,
    TxnResponse,
    WatchRequest,
    WatchResponse,
)
from kratos.wire.etcd.mvccpb.kv_pb import Event, KeyValue

HEADER = ResponseHeader(revision=100)
BEGUN = WatchResponse(header=HEADER, created=True)


class KV(KVService):
    """One key, always the same."""

    async def range(self, request: RangeRequest, call: Call) -> RangeResponse:
        assert call.headers.get("hasleader") == "true"
        return RangeResponse(header=HEADER, kvs=[KeyValue(key=b"/a.yaml", value=b"a: 1")])

    async def put(self, request: PutRequest, call: Call) -> PutResponse:
        return PutResponse(header=HEADER)

    async def txn(self, request: TxnRequest, call: Call) -> TxnResponse:
        return TxnResponse(header=HEADER, succeeded=False)


class Watch(WatchService):
    """Says what it is told to, and no more; then it ends, or waits for ever."""

    def __init__(self, *says: WatchResponse, ends: bool = False) -> None:
        self.says = says
        self.ends = ends

    async def watch(self, requests: Messages[WatchRequest], call: Call) -> AsyncIterator[WatchResponse]:
        async for _ in requests:
            for response in self.says:
                yield response
            if self.ends:
                return
            await asyncio.Event().wait()


class Lease(LeaseService):
    """Leases whose keys are gone."""

    def __init__(self) -> None:
        self.granted = 0
        self.asked = 0
        self.revoked: list[int] = []

    async def lease_grant(self, request: LeaseGrantRequest, call: Call) -> LeaseGrantResponse:
        self.granted += 1
        return LeaseGrantResponse(ID=self.granted, TTL=request.TTL)

    async def lease_revoke(self, request: LeaseRevokeRequest, call: Call) -> LeaseRevokeResponse:
        self.revoked.append(request.ID)
        if request.ID == 1:
            raise NotFound("etcdserver: requested lease not found")
        return LeaseRevokeResponse()

    async def lease_keep_alive(
        self, requests: Messages[LeaseKeepAliveRequest], call: Call
    ) -> AsyncIterator[LeaseKeepAliveResponse]:
        async for request in requests:
            yield LeaseKeepAliveResponse(ID=request.ID, TTL=1)

    async def lease_time_to_live(self, request: LeaseTimeToLiveRequest, call: Call) -> LeaseTimeToLiveResponse:
        self.asked += 1
        return LeaseTimeToLiveResponse(ID=request.ID, TTL=1)


@asynccontextmanager
async def serving(*services: KVService | WatchService | LeaseService) -> AsyncIterator[str]:
    """Serves etcd's API; gives the address."""
    server = GRPCServer("127.0.0.1:0")
    async with App(name="etcd", services=[KV(), *services], servers=[server]):
        yield server.endpoint.removeprefix("grpc://")


@asynccontextmanager
async def following(watch: Watch, timeout: float = 30.0) -> AsyncIterator[Callable[[], object]]:
    """Follows all keys; gives what waits for the next state."""
    async with (
        serving(watch) as address,
        Connection(address, user="", password="", tls=None, timeout=timeout) as connection,
        aclosing(follow(connection, Span(b"/", below=True), lambda kv: kv.value)) as states,
    ):
        yield lambda: anext(states)


@pytest.mark.parametrize(
    ("watch", "error", "message"),
    [
        (
            Watch(WatchResponse(created=True, header=ResponseHeader(revision=7))),
            ServiceUnavailable,
            "is at revision 7 and",
        ),
        (Watch(WatchResponse(created=True, canceled=True, cancel_reason="no, no")), Forbidden, "ended a watch: no, no"),
        (Watch(WatchResponse(created=True, canceled=True)), Forbidden, "it does not say why"),
        (Watch(ends=True), ServiceUnavailable, "has ended a stream of watches"),
    ],
)
async def test_a_watch_that_does_not_begin(watch: Watch, error: type[Error], message: str) -> None:
    """It is told, and nothing is: a list that nobody follows is none."""
    async with following(watch) as state:
        with pytest.raises(error, match=message):
            await state()


async def test_a_watch_that_is_silent() -> None:
    """It is given up after a while."""
    async with following(Watch(), timeout=0.5) as state:
        with pytest.raises(ServiceUnavailable, match="has not begun a watch within 0.5 s"):
            await state()


@pytest.mark.parametrize(
    ("last", "error"), [(WatchResponse(canceled=True, cancel_reason="enough"), Forbidden), (None, ServiceUnavailable)]
)
async def test_a_watch_that_ends(last: WatchResponse | None, error: type[Error]) -> None:
    """What was told before that is not told again."""
    async with following(Watch(BEGUN, *([] if last is None else [last]), ends=True)) as state:
        with pytest.raises(error):
            while True:
                assert await state() == {b"/a.yaml": b"a: 1"}


async def test_pieces_of_a_change() -> None:
    """A change that comes in pieces is told when it is complete; an event without a key says nothing."""
    put = Event(kv=KeyValue(key=b"/b", value=b"2"))
    gone = Event(type=Event.EventType.DELETE, kv=KeyValue(key=b"/a.yaml"))
    pieces = [WatchResponse(events=[put], fragment=True), WatchResponse(events=[gone, Event()]), WatchResponse()]
    async with following(Watch(BEGUN, *pieces)) as state:
        while (found := await state()) != {b"/b": b"2"}:
            assert found == {b"/a.yaml": b"a: 1"}


async def test_the_same_again() -> None:
    """A key that is written anew with what it holds is no change of the configuration."""
    same = WatchResponse(events=[Event(kv=KeyValue(key=b"/a.yaml", value=b"a: 1"))])
    other = WatchResponse(events=[Event(kv=KeyValue(key=b"/a.yaml", value=b"a: 2"))])

    class Slow(Watch):
        async def watch(self, requests: Messages[WatchRequest], call: Call) -> AsyncIterator[WatchResponse]:
            async for _ in requests:
                for response in (BEGUN, same, other):
                    yield response
                    await asyncio.sleep(0.2)  # longer than changes are gathered for
                return

    async with serving(Slow()) as address:
        states = EtcdSource(address, "/a.yaml").watch()
        assert [(await anext(states)).root.plain() for _ in range(2)] == [{"a": 1}, {"a": 2}]
        with pytest.raises(OSError, match="has ended a stream"):
            await anext(states)


async def test_an_id_that_somebody_else_has(caplog: pytest.LogCaptureFixture) -> None:
    """It is told once, however often it is found; leases of before go when the new one holds, or are gone already."""
    lease, shop = Lease(), Instance("1", "shop")
    async with serving(lease) as address:
        registry = EtcdRegistry(address, ttl=1, patience=Patience(attempt=30))
        await registry.register(shop)
        await registry.register(Instance("1", "shop", "v2"))
        while lease.asked < 3:
            await asyncio.sleep(0.01)
        assert lease.revoked == [1]
        await registry.deregister(shop)
        await registry.aclose()
    assert lease.revoked == [1, 2]
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
    assert "is this id used twice?" in caplog.text


async def test_calls_that_nobody_makes() -> None:
    """The connection makes two kinds of call, and says so."""
    async with Connection("127.0.0.1:1", user="", password="", tls=None, timeout=1.0) as connection:
        for call in (connection.server_stream, connection.client_stream):
            with pytest.raises(NotImplementedError, match="no call of this kind is made to etcd"):
                call(*[None] * (4 if call == connection.server_stream else 3))
        assert isinstance(KVClient(connection), KVClient)
