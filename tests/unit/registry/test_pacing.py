"""Lists of ten thousand are taken in slices. Work is counted: in calls of functions in one turn of the event loop."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest

from kratos.contrib.etcd import span
from kratos.contrib.zookeeper import registry as zookeeper
from kratos.contrib.zookeeper.session import Record
from kratos.live import Live
from kratos.registry import Instance, MemoryRegistry, MultiRegistry, Patience, StaticDiscovery, pacing
from kratos.registry.base import Discovery
from kratos.registry.record import Neighbours, encode
from kratos.registry.watching import Watches
from kratos.wire.etcd.etcdserverpb.rpc_pb import WatchResponse
from kratos.wire.etcd.mvccpb.kv_pb import Event, KeyValue

COUNT = 10_000
MANY = [Instance(f"{number * 7919 % COUNT:05}", "shop", endpoints=(f"grpc://a:{number}",)) for number in range(COUNT)]
MORE = Instance("more", "shop", endpoints=("grpc://a:1",))
IN_ORDER = tuple(sorted(MANY, key=lambda each: each.id))


class Work:
    """Counts the calls of functions in the turns of the event loop.

    Attributes:
        most: In one turn.
        all: In all of them.
    """

    def __init__(self) -> None:
        self.most = self.all = self._turn = 0

    async def of(self, work: Awaitable[Any]) -> Any:
        """Returns what comes of some work that is done beside others."""
        others = asyncio.create_task(self._others())
        before = sys.getprofile()
        sys.setprofile(self._count)
        try:
            return await work
        finally:
            sys.setprofile(before)
            self._end_turn()
            others.cancel()
            with suppress(asyncio.CancelledError):
                await others

    async def _others(self) -> None:
        while True:
            self._end_turn()
            await asyncio.sleep(0)

    def _end_turn(self) -> None:
        self.most, self.all, self._turn = max(self.most, self._turn), self.all + self._turn, 0

    def _count(self, frame: FrameType, event: str, argument: object) -> None:
        del frame, argument
        self._turn += event in ("call", "c_call")


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is a slice later."""
    clock = itertools.count()
    monkeypatch.setattr(pacing, "perf_counter", lambda: next(clock) * pacing.SLICE_SECONDS)


async def measured(work: Awaitable[Any]) -> Any:
    """Returns what comes of it, if it was work, and never much at a time."""
    counted = Work()
    found = await counted.of(work)
    assert counted.all > COUNT / 100
    assert counted.most < COUNT / 4, f"{counted.most} calls in one turn of {counted.all}"
    return found


class Lister:
    """A driver that reads everything anew each time it is told to, as after a lost connection."""

    def __init__(self) -> None:
        self.more = asyncio.Event()
        self.says: list[Instance] = []

    async def lists(self, name: str, /) -> AsyncGenerator[Iterable[Instance], None]:
        while True:
            yield iter(self.says)
            await self.more.wait()
            self.more.clear()


def memory() -> tuple[Discovery, Callable[[], Awaitable[object]]]:
    known = MemoryRegistry()
    known._instances["shop"] = {each.id: each for each in IN_ORDER}
    return known, lambda: known.register(MORE)


def multi() -> tuple[Discovery, Callable[[], Awaitable[object]]]:
    known, more = memory()
    return MultiRegistry(known, StaticDiscovery({"shop": MANY})), more


def static() -> tuple[Discovery, Callable[[], Awaitable[object]]]:
    services = Live[Any]({"shop": MANY})

    async def more() -> None:
        services.set({"shop": [*MANY, MORE]})

    return StaticDiscovery(services), more


def watched() -> tuple[Discovery, Callable[[], Awaitable[object]]]:
    lister = Lister()
    lister.says = MANY

    async def more() -> None:
        lister.says = [*(Instance(each.id, each.name, endpoints=each.endpoints) for each in MANY), MORE]
        lister.more.set()

    return Watches(lister, "etcd", Patience()), more


@pytest.mark.usefixtures("ticks")
@pytest.mark.parametrize("make", [memory, multi, static, watched])
async def test_a_list_and_a_longer_one(make: Callable[[], tuple[Discovery, Callable[[], Awaitable[object]]]]) -> None:
    """The first list of ten thousand, and the one with one more, let others run between; nothing gets lost."""
    discovery, more = make()
    lists = discovery.watch("shop", "grpc")
    assert await measured(anext(lists)) == IN_ORDER
    await more()
    assert await measured(anext(lists)) == (*IN_ORDER, MORE)
    await lists.aclose()  # type: ignore[attr-defined]


def kv(instance: Instance) -> KeyValue:
    return KeyValue(key=f"/shop/{instance.id}".encode(), value=encode(instance))


@pytest.mark.usefixtures("ticks")
async def test_etcd() -> None:
    """Records are read in slices, those of the first list and those that change at once, which are told at once."""
    following = span._Following[Instance](None, lambda kv: Neighbours("etcd").read("", kv.value))  # type: ignore[arg-type]
    records = [kv(each) for each in MANY]
    await measured(following._take((each, False) for each in records))
    assert [*following._held.values()] == MANY
    gone = [Event(type=Event.EventType.DELETE, kv=each) for each in records[1:]]
    came = [Event(kv=kv(MORE))]
    await following._take_events(WatchResponse(events=gone, fragment=True))
    assert len(following._held) == COUNT
    taking = asyncio.create_task(following._take_events(WatchResponse(events=came)))
    while not taking.done():
        assert len(following._held) in (COUNT, 2)
        await asyncio.sleep(0)
    assert [*following._held.values()] == [MANY[0], MORE]


class Session:
    """A session with ZooKeeper that answers at once."""

    def __init__(self, listed: Sequence[Instance]) -> None:
        self.records = {f"/shop/{each.id}": Record(encode(each), 1) for each in listed}
        self.names = [each.id for each in listed]
        self.asked = 0
        self.most = self._under_way = 0

    async def children(self, path: str) -> list[str]:
        return [*self.names]

    async def read(self, path: str) -> Record:
        self.asked += 1
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        await asyncio.sleep(0)
        self._under_way -= 1
        return self.records[path]


@pytest.mark.usefixtures("ticks")
async def test_zookeeper() -> None:
    """Few records are asked for at a time, and later only what is new."""
    session = Session(MANY)
    service = zookeeper._Service(session, "/shop", Neighbours("zookeeper"))  # type: ignore[arg-type]
    assert [*await measured(service.read())] == MANY
    assert session.asked == COUNT
    assert session.most == zookeeper._READERS
    session.names.append("more")
    session.records["/shop/more"] = Record(encode(MORE), 1)
    assert [*await measured(service.read())] == [*MANY, MORE]
    assert session.asked == COUNT + 1


@pytest.mark.usefixtures("ticks")
async def test_nobody_serves_when_all_have_said_so() -> None:
    """Who answers while the others' lists are merged is not overlooked."""

    class Late:
        async def watch(self, name: str, scheme: str | None = None, /) -> AsyncIterator[tuple[Instance, ...]]:
            for _ in range(30):
                await asyncio.sleep(0)
            yield (MORE,)
            await asyncio.Event().wait()

    for _ in range(3):
        lists = MultiRegistry(StaticDiscovery({}), Late()).watch("shop")
        assert await anext(lists) == (MORE,)
        await lists.aclose()  # type: ignore[attr-defined]


async def test_work_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no time passes nobody else runs, and that is seen by how much is done in one turn."""
    monkeypatch.setattr(pacing, "perf_counter", lambda: 0.0)
    lists = memory()[0].watch("shop", "grpc")
    with pytest.raises(AssertionError, match="calls in one turn"):
        await measured(anext(lists))
    await lists.aclose()  # type: ignore[attr-defined]


async def test_the_first_failure_ends_it() -> None:
    """Nothing more is begun, and nobody goes on."""
    begun: list[int] = []
    ended: list[int] = []

    async def work(number: int) -> None:
        begun.append(number)
        if number == 3:
            raise ConnectionError("lost")
        await asyncio.sleep(0)
        ended.append(number)

    with pytest.raises(ConnectionError, match="lost"):
        await pacing.few_at_a_time(range(100), work, 2)
    before = len(begun)
    assert before < 10
    await asyncio.sleep(0.01)
    assert len(begun) == before
    await pacing.few_at_a_time([], work, 2)
