"""ratelimit(): who comes in, who is turned away with what, and that a place is always given back."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KINDS_CHAT, KINDS_ECHO, KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping
from roundtrip.service import Kinds

from kratos import App
from kratos.call import Call
from kratos.errors import Error, TooManyRequests
from kratos.handler import chain, only
from kratos.live import Live
from kratos.metadata import Metadata
from kratos.metrics import PrometheusMeter
from kratos.middleware import metadata, ratelimit, recovery
from kratos.resilience import BBR, Priority, Quota
from kratos.resilience.priority import priority_of
from kratos.testing import serve


class Limiter:
    """Lets in what a test wants, and remembers what it was told."""

    def __init__(self, *, pressed: bool = False, keeps_streams: bool = False) -> None:
        self.pressed = pressed
        self.keeps_streams = keeps_streams
        self.open = True
        self.asked: list[Priority] = []
        self.left: list[float] = []
        self.told: list[float | None] = []
        self.late: list[bool] = []

    def allow(self, priority: Priority = Priority.CRITICAL, left: float = math.inf, /) -> bool:
        self.asked.append(priority)
        self.left.append(left)
        return self.open

    def done(self, seconds: float | None, late: bool = False, /) -> None:
        self.told.append(seconds)
        self.late.append(late)


def call_of(operation: Any = KINDS_ECHO, priority: str = "") -> Call:
    call = Call(operation, kind="test", side="server", headers=Metadata())
    if priority:
        call.metadata = Metadata({"x-md-global-priority": priority})
    return call


async def handler(request: Any, call: Call) -> Any:
    if isinstance(request, BaseException):
        raise request
    return request


async def test_a_place_is_given_back() -> None:
    """However a call ends: with a reply, an error, a crash, or because it is cancelled."""
    limiter = Limiter()
    middleware: Any = ratelimit(limiter)
    assert await middleware("hello", call_of(), handler) == "hello"
    for failure in (Error("no"), ValueError("crash"), asyncio.CancelledError()):
        with pytest.raises(type(failure)):
            await middleware(failure, call_of(), handler)
    *ended, cancelled = limiter.told
    assert len(ended) == 3
    assert all(seconds is not None and seconds >= 0 for seconds in ended)
    assert cancelled is None  # it says nothing of how long calls take
    assert not any(limiter.late)


async def test_turned_away() -> None:
    """429 with Kratos' reason and message, and when to come back; the handler is not called, nothing is given back."""
    limiter = Limiter()
    limiter.open = False
    wait = Live(2.5)
    middleware: Any = ratelimit(limiter, retry_after=wait)

    async def unreachable(request: Any, call: Call) -> Any:
        raise AssertionError("it was turned away")

    with pytest.raises(TooManyRequests) as refused:
        await middleware("hello", call_of(), unreachable)
    failure = refused.value
    assert (failure.code, failure.reason) == (429, "RATELIMIT")
    assert failure.message == "service unavailable due to rate limit exceeded"
    assert failure.retry_after == 2.5
    assert limiter.told == []
    wait.set(4.0)
    with pytest.raises(TooManyRequests) as refused:
        await middleware("hello", call_of(KINDS_CHAT), unreachable)
    assert refused.value.retry_after == 4.0
    silent: Any = ratelimit(limiter, retry_after=None)
    with pytest.raises(TooManyRequests) as refused:
        await silent("hello", call_of(), unreachable)
    assert refused.value.retry_after is None


@pytest.mark.parametrize(
    ("said", "priority"),
    [
        ("", Priority.CRITICAL),
        ("sheddable", Priority.SHEDDABLE),
        ("Sheddable-Plus", Priority.SHEDDABLE_PLUS),
        ("critical", Priority.CRITICAL),
        ("CRITICAL_PLUS", Priority.CRITICAL_PLUS),
        ("most important of all", Priority.CRITICAL),
        ("1", Priority.CRITICAL),
    ],
)
def test_priorities(said: str, priority: Priority) -> None:
    """They are said by name in the metadata; anything else is what says nothing."""
    assert priority_of(call_of(priority=said)) is priority


async def test_priorities_are_asked_for_where_they_matter() -> None:
    """Under pressure, and by a function of your own if there is one."""
    limiter = Limiter()
    for pressed in (False, True):
        limiter.pressed = pressed
        middleware: Any = ratelimit(limiter)
        for operation in (KINDS_ECHO, KINDS_CHAT):
            await middleware("hello", call_of(operation, priority="sheddable"), handler)
    own: Any = ratelimit(limiter, priority=lambda call: Priority.CRITICAL_PLUS)
    await own("hello", call_of(), handler)
    assert limiter.asked == [
        Priority.CRITICAL, Priority.CRITICAL, Priority.SHEDDABLE, Priority.SHEDDABLE, Priority.CRITICAL_PLUS,
    ]  # fmt: skip


async def test_streams() -> None:
    """They keep their place where the limiter wants that, and let go of it at once where it measures time."""
    for keeps in (False, True):
        limiter = Limiter(keeps_streams=keeps)
        seen: list[list[float | None]] = []

        async def stream(request: Any, call: Call, told: Any = limiter.told, seen: Any = seen) -> None:
            seen.append(list(told))

        await chain([ratelimit(limiter)], stream, KINDS_CHAT)("hello", call_of(KINDS_CHAT))
        assert seen == [[] if keeps else [None]]
        assert len(limiter.told) == 1


async def test_who_waits_is_counted_first() -> None:
    """Under pressure all that have arrived are let in, or not, before the handlers of any of them run."""
    limiter = Limiter(pressed=True)
    order: list[str] = []

    async def never_waits(request: Any, call: Call) -> None:
        order.append(f"handler after {len(limiter.asked)}")

    run = chain([ratelimit(limiter)], never_waits, KINDS_ECHO)
    await asyncio.gather(*(run("hello", call_of()) for _ in range(3)))
    assert order == ["handler after 3"] * 3


async def test_who_is_on_the_way_is_counted_first() -> None:
    """So is a call that takes some turns to be there, as that of a new connection; and there is an end to it."""
    limiter = Limiter(pressed=True)
    order: list[int] = []

    async def never_waits(request: Any, call: Call) -> None:
        order.append(len(limiter.asked))

    run = chain([ratelimit(limiter)], never_waits, KINDS_ECHO)

    async def later(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await run("hello", call_of())

    await asyncio.gather(later(0), later(3))
    assert order == [2, 2]
    order.clear()
    await asyncio.gather(*(later(turns) for turns in range(100)))
    assert order[0] < 50


async def test_who_leaves_while_others_come_in_is_not_counted() -> None:
    """A call whose time is up before it began says nothing of how long calls take."""
    limiter = Limiter(pressed=True)
    middleware: Any = ratelimit(limiter)
    task = asyncio.create_task(middleware("hello", call_of(), handler))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert limiter.told == [None]


async def test_who_is_late_is_told() -> None:
    """Under pressure the limiter hears how much time a call has, and of any call whether its time was up."""
    limiter = Limiter()
    middleware: Any = ratelimit(limiter)
    for pressed in (False, True):
        limiter.pressed = pressed
        for seconds in (100.0, -1.0):
            call = call_of()
            call.shorten(seconds)
            await middleware("hello", call, handler)
    assert limiter.left[:2] == [math.inf] * 2
    assert limiter.left[2] == pytest.approx(100.0, abs=50.0)
    assert limiter.left[3] == 0.0
    assert limiter.late == [False, True] * 2
    assert [seconds is None for seconds in limiter.told] == limiter.late


async def test_transports_that_are_slow_to_hand_over() -> None:
    """Where the transport knows better than turns of the event loop when all have come, it is asked."""
    limiter = Limiter()
    order: list[str] = []

    async def intake() -> None:
        order.append("others")

    async def begins(request: Any, call: Call) -> None:
        order.append("handler")

    middleware: Any = ratelimit(limiter)
    for pressed in (False, True):
        limiter.pressed = pressed
        call = call_of()
        call.intake = intake
        await middleware("hello", call, begins)
    assert order == ["handler", "others", "handler"]


async def test_a_quota_end_to_end() -> None:
    """One at a time: the second is turned away, and says so in both directions; later there is room again."""
    service = Kinds()
    limit = ratelimit(Quota(concurrency=1))
    async with serve(service, middleware=[recovery(), limit]) as conn:
        api = KindsClient(conn)
        hanging = asyncio.create_task(api.echo(Ping(text="hang")))
        await until(lambda: service.hanging)
        with pytest.raises(TooManyRequests) as refused:
            await api.echo(Ping(text="two"))
        assert (refused.value.reason, refused.value.retry_after) == ("RATELIMIT", 1.0)
        hanging.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await hanging
        await until(lambda: not service.hanging)
        assert (await api.echo(Ping(text="three"))).text == "three"


async def test_a_quota_of_streams() -> None:
    """A stream is one of those at a time, until it is left."""
    async with serve(Kinds(), middleware=[ratelimit(Quota(concurrency=1))]) as conn:
        api = KindsClient(conn)
        async with api.chat() as stream:
            await stream.send(Ping(text="one"))
            await anext(aiter(stream))
            with pytest.raises(TooManyRequests):
                await api.echo(Ping(text="two"))
        assert (await api.echo(Ping(text="three"))).text == "three"


async def test_priorities_come_with_metadata() -> None:
    """``metadata()`` in front collects them, from whom it trusts."""
    for trusted in (True, False):
        limiter = Limiter(pressed=True)
        async with serve(Kinds(), middleware=[metadata(trusted=trusted), ratelimit(limiter)]) as conn:
            await KindsClient(conn).echo(Ping(text="a"), headers={"x-md-global-priority": "sheddable"})
        assert limiter.asked == [Priority.SHEDDABLE if trusted else Priority.CRITICAL]


def rendered(meter: PrometheusMeter) -> list[str]:
    return [line for line in meter.render()[1].decode().splitlines() if line.startswith("server_ratelimit")]


async def test_figures() -> None:
    """What is under way, what may be, how busy it is, and what was shed, by limiter; also inside of only()."""
    meter = PrometheusMeter()
    settings = Live(Quota(concurrency=2))
    quota, own = ratelimit(settings), Limiter()
    own.open = False
    middleware = [quota, only("/nowhere/*", ratelimit(BBR())), only("/nowhere/*", ratelimit(own, name="mine"))]
    App(name="shop", middleware=middleware, meter=meter)
    lines = rendered(meter)
    assert 'server_ratelimit_in_flight{limiter="quota"} 0.0' in lines
    assert 'server_ratelimit_max_in_flight{limiter="quota"} 2.0' in lines
    assert 'server_ratelimit_max_in_flight{limiter="bbr"} 0.0' in lines
    assert any(line.startswith('server_ratelimit_cpu_ratio{limiter="bbr"} ') for line in lines)
    assert not any('cpu_ratio{limiter="quota"}' in line for line in lines)

    async def nested(request: Any, call: Call) -> Any:
        return await chain([quota], twice, KINDS_ECHO)(request, call)

    async def twice(request: Any, call: Call) -> Any:
        sheddable = call_of(priority="sheddable")
        with pytest.raises(TooManyRequests):
            await chain([quota], handler, KINDS_ECHO)(request, sheddable)
        assert 'server_ratelimit_in_flight{limiter="quota"} 2.0' in rendered(meter)
        return request

    await chain([quota], nested, KINDS_ECHO)("hello", call_of())
    assert 'server_ratelimit_shed_total{limiter="quota",priority="sheddable"} 1.0' in rendered(meter)


async def until(condition: Callable[[], object]) -> None:
    """Waits for what runs in other tasks."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


async def test_retry_after_that_is_none() -> None:
    """Nonsense is refused, also when a live value becomes it."""
    seconds = Live(1.0)
    ratelimit(retry_after=seconds)
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="retry_after"):
            seconds.set(wrong)
        with pytest.raises(ValueError, match="retry_after"):
            ratelimit(retry_after=wrong)
    assert seconds.value == 1.0
