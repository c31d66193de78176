"""retry(): what is sent again, when, how often, and what each attempt finds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KINDS_CHAT, KINDS_ECHO, KINDS_WATCH, KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Kinds

from kratos.call import AppInfo, Call, CallOptions, Reply
from kratos.errors import Error, NotFound, ServiceUnavailable, TooManyRequests
from kratos.handler import Handler, chain
from kratos.live import Live
from kratos.metadata import Metadata
from kratos.metrics import PrometheusMeter
from kratos.middleware import retry
from kratos.operation import Unary
from kratos.resilience import Retry
from kratos.testing import FakeClock, serve
from kratos.transport.channel import Unreached

READ = Unary("/shop.v1.Orders/Read", Ping, Pong, idempotent=True)
BUY = Unary("/shop.v1.Orders/Buy", Ping, Pong)


class Server:
    """Fails some calls, and writes down what comes."""

    def __init__(self, *ends: Error | None) -> None:
        self.ends = list(ends)
        self.heads: list[dict[str, str]] = []
        self.times: list[float] = []

    async def __call__(self, request: Any, call: Call) -> Any:
        self.heads.append(dict(call.headers.items()))
        self.times.append(asyncio.get_running_loop().time())
        end = self.ends.pop(0) if self.ends else None
        if end is not None:
            raise end
        return "reply"


def call_of(operation: Any = READ, options: CallOptions | None = None, **headers: str) -> Call:
    call = Call(operation, kind="test", side="client", headers=Metadata(headers))
    call.options = options or CallOptions()
    return call


def down(**facts: Any) -> Error:
    return ServiceUnavailable("down", **facts)


def no_pause() -> float:
    return 0.0


def whole_pause() -> float:
    return 1.0


async def attempts(
    ends: Sequence[Error | None], *, operation: Any = READ, options: CallOptions | None = None, **settings: Any
) -> int:
    """Returns how often a call is sent that ends so."""
    server = Server(*ends)
    run = chain([retry(Retry(**{"budget": 9.0, **settings}), chance=no_pause)], server, operation)
    call = call_of(operation, options)
    (end,) = await asyncio.gather(run("hello", call), return_exceptions=True)
    assert end == "reply" or end is ends[len(server.heads) - 1], "what is raised is what the last attempt ended with"
    return len(server.heads)


async def test_until_it_is_answered() -> None:
    """A reply ends it, and so does the last attempt."""
    assert await attempts([None]) == 1
    assert await attempts([down(), None]) == 2
    assert await attempts([down(), down(), None]) == 3
    assert await attempts([down()] * 5) == 3
    assert await attempts([down()] * 5, attempts=5) == 5
    assert await attempts([down()] * 5, attempts=1) == 1


@pytest.mark.parametrize(
    ("operation", "options", "sent"),
    [
        (READ, {}, 2),
        (BUY, {}, 1),
        (BUY, {"idempotent": True}, 2),
        (READ, {"idempotent": False}, 1),
    ],
)
async def test_only_what_may_be_repeated(operation: Any, options: CallOptions, sent: int) -> None:
    """The contract says so, and the caller knows better."""
    for failure in (down(), down(reason="CONNECTION_LOST"), TooManyRequests("later", reason="RATELIMIT")):
        assert await attempts([failure, None], operation=operation, options=options) == sent


async def test_what_never_left_may_be_repeated() -> None:
    """Anything may be sent again if it was not sent: only our own channel knows, and no peer can say so."""
    assert await attempts([Unreached("nobody there"), None], operation=BUY) == 2
    assert await attempts([Unreached("nobody there"), down(), None], operation=BUY) == 2
    theirs = ServiceUnavailable("cannot reach the bank", reason="CONNECTION_FAILED")
    assert await attempts([theirs, None], operation=BUY) == 1


@pytest.mark.parametrize(
    ("failure", "sent"),
    [
        (down(), 2),
        (TooManyRequests("later"), 2),
        (Error("500", code=500), 1),
        (Error("504", code=504, reason="DEADLINE_EXCEEDED", metadata={"limit": "client"}), 1),
        (NotFound("404"), 1),
        (down(reason="CIRCUITBREAKER"), 1),
    ],
)
async def test_codes(failure: Error, sent: int) -> None:
    """Those that say that another try may help, and never what a breaker has refused."""
    assert await attempts([failure, None]) == sent


async def test_other_codes() -> None:
    """They can be chosen."""
    assert await attempts([Error("500", code=500), None], codes=frozenset({500})) == 2
    assert await attempts([down(), None], codes=frozenset({500})) == 1


async def test_crashes_are_not_repeated() -> None:
    """Nobody knows what they mean."""
    server = Server()

    async def crash(request: Any, call: Call) -> Any:
        await server(request, call)
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        await chain([retry(chance=no_pause)], crash, READ)("hello", call_of())
    assert len(server.heads) == 1


async def passes(clock: FakeClock, task: asyncio.Task[Any], seconds: float) -> None:
    for _ in range(round(seconds * 10)):
        if not task.done():
            await clock.advance(0.1)


async def test_pauses() -> None:
    """They double, and are as long as chance wants; a server that says how long is given at least that."""
    server = Server(down(), down(), down(retry_after=3.0), None)
    middleware = retry(Retry(attempts=4, backoff=0.2, budget=9.0), chance=whole_pause)
    with FakeClock() as clock:
        task = asyncio.create_task(chain([middleware], server, READ)("hello", call_of()))  # type: ignore[arg-type]  # a coroutine
        await passes(clock, task, 10)
        assert await task == "reply"
    gaps = [later - earlier for earlier, later in zip(server.times, server.times[1:], strict=False)]
    assert gaps == pytest.approx([0.2, 0.4, 3.8], abs=0.11)


@pytest.mark.parametrize(("asked", "sent"), [(None, 2), (0.0, 2), (-1.0, 1), (11.0, 1)])
async def test_push_back(asked: float | None, sent: int) -> None:
    """Who is asked to go away does, and so does who would have to wait too long."""
    assert await attempts([down(retry_after=asked), None]) == sent


@pytest.mark.parametrize(("left", "sent"), [(0.09, 1), (0.11, 2), (None, 2)])
async def test_never_past_the_deadline(left: float | None, sent: int) -> None:
    """If the pause would end after it the failure is told at once, and not when time is up."""
    server = Server(down(), None)
    with FakeClock() as clock:
        call = call_of()
        if left is not None:
            call.shorten(left)
        began = clock()
        run = chain([retry(Retry(backoff=0.1), chance=whole_pause)], server, READ)
        task = asyncio.create_task(run("hello", call))  # type: ignore[arg-type]  # a coroutine
        await clock.settle()
        if sent == 1:
            with pytest.raises(ServiceUnavailable):
                await task
            assert clock() == began
        else:
            await clock.advance(0.101)
            assert await task == "reply"
    assert len(server.heads) == sent


async def test_the_budget() -> None:
    """In an outage a client sends a fifth more than it would, and no more."""
    clock, sent = FakeClock(), 0

    async def outage(request: Any, call: Call) -> Any:
        nonlocal sent
        sent += 1
        raise down()

    middleware = [retry(clock=clock, chance=no_pause)]
    read, other = chain(middleware, outage, READ), chain(middleware, outage, KINDS_ECHO)
    for number in range(1000):
        with pytest.raises(ServiceUnavailable):
            await (read if number % 2 else other)("hello", call_of(options={"idempotent": True}))
    assert 1190 <= sent <= 1200


async def test_each_attempt_is_fresh() -> None:
    """Its headers are those the call began with, and its reply has nothing of the attempt before."""
    seen: list[tuple[int, list[tuple[str, str]], list[tuple[str, str]]]] = []

    async def spoils(request: Any, call: Call, next: Handler) -> Any:
        seen.append((call.reply.status or 0, call.reply.headers.items(), call.reply.trailers.items()))
        call.headers.add("traceparent", f"attempt {len(seen)}")
        call.reply.status = 503
        call.reply.received(headers=Metadata({"x-from": "1"}), trailers=Metadata({"x-last": "1"}))
        return await next(request, call)

    server = Server(down(), down(), None)
    call = call_of(who="me")
    middleware = [retry(Retry(budget=9.0), chance=no_pause), spoils]
    await chain(middleware, server, READ)("hello", call)
    assert server.heads == [
        {"who": "me", "traceparent": "attempt 1"},
        {"who": "me", "traceparent": "attempt 2", "x-kratos-attempt": "2"},
        {"who": "me", "traceparent": "attempt 3", "x-kratos-attempt": "3"},
    ]
    assert seen == [(0, [], [])] * 3
    assert call.fields == {"attempt": 3}


async def test_streams_are_let_through() -> None:
    """Nothing of theirs is sent again."""
    for operation in (KINDS_WATCH, KINDS_CHAT):
        assert await attempts([down(), None], operation=operation, options={"idempotent": True}) == 1
        outside: Any = retry(chance=no_pause)
        server = Server(down())
        with pytest.raises(ServiceUnavailable):
            await outside("hello", call_of(operation, {"idempotent": True}), server)


async def test_outside_of_a_chain() -> None:
    """Called by itself it is the same."""
    outside: Any = retry(chance=no_pause)
    assert await outside("hello", call_of(), Server(down(), None)) == "reply"


async def test_live_settings() -> None:
    """They count from the next failure on."""
    settings = Live(Retry(attempts=1, budget=9.0))
    middleware = [retry(settings, chance=no_pause)]
    for allowed, sent in ((1, 1), (2, 2)):
        settings.set(Retry(attempts=allowed, budget=9.0))
        server = Server(down(), down())
        with pytest.raises(ServiceUnavailable):
            await chain(middleware, server, READ)("hello", call_of())
        assert len(server.heads) == sent


async def test_cancelled_in_a_pause() -> None:
    """Nothing is sent any more."""
    server = Server(down(), None)
    with FakeClock() as clock:
        run = chain([retry(chance=whole_pause)], server, READ)
        task = asyncio.create_task(run("hello", call_of()))  # type: ignore[arg-type]  # a coroutine
        await clock.settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(server.heads) == 1


@pytest.mark.parametrize("given", [True, False])
async def test_figures(given: bool) -> None:
    """Retries by how they ended, or why there was none, and what is left; to the meter there is."""
    meter = PrometheusMeter()
    settings = Live(Retry(budget=1.0, floor=0.0))
    middleware = [retry(settings, meter=meter if given else None, clock=FakeClock(), chance=no_pause)]
    parent = Call(READ, kind="test", side="server", headers=Metadata(), app=AppInfo(name="shop", meter=meter))
    last = down()
    for ends in (
        (down(), None), (down(), NotFound("404")), (down(retry_after=-1),), (TooManyRequests("later", retry_after=5),),
        (down(), None), (last,),
    ):  # fmt: skip
        call = call_of()
        call.parent = None if given else parent
        call.shorten(4.0)
        if len(ends) == 1 and ends[0] is last:
            settings.set(Retry(budget=0.0, burst=0, floor=0.0))
        run = chain(middleware, Server(*ends), READ)
        (end,) = await asyncio.gather(run("hello", call), return_exceptions=True)
        assert end == "reply" or end is ends[-1]
    lines = meter.render()[1].decode().splitlines()
    for outcome, count in {"ok": 2, "failed": 1, "pushback": 1, "deadline": 1, "budget": 1}.items():
        name = f'client_retries_total{{operation="/shop.v1.Orders/Read",outcome="{outcome}"}}'
        assert f"{name} {count}.0" in lines
    assert "client_retry_budget_left 0.0" in lines


class Flaky(Kinds):
    """Turns the first calls away, each with headers of its own."""

    def __init__(self, failures: int, **facts: Any) -> None:
        super().__init__()
        self.failures = failures
        self.facts = facts
        self.attempts: list[str | None] = []

    async def echo(self, request: Ping, call: Call) -> Pong:
        self.attempts.append(call.headers.get("x-kratos-attempt"))
        if len(self.attempts) <= self.failures:
            call.reply.headers.set("x-failed", "yes")
            raise down(**self.facts)
        return Pong(text=request.text)


@pytest.mark.parametrize("transport", ["memory", "http", "grpc"])
async def test_over_the_wire(transport: Any) -> None:
    """The server is told which attempt it is, and the reply is that of the last one."""
    service, reply = Flaky(2), Reply()
    middleware = [retry(Retry(backoff=0.001, budget=9.0))]
    async with serve(service, transport=transport, client_middleware=middleware, client_timeout=30) as conn:
        answer = await KindsClient(conn).echo(Ping(text="hello"), idempotent=True, reply=reply)
    assert answer.text == "hello"
    assert service.attempts == [None, "2", "3"]
    assert "x-failed" not in reply.headers or transport == "memory"  # where both sides have one reply
    assert (reply.status or 200) == 200


@pytest.mark.parametrize("transport", ["memory", "http", "grpc"])
async def test_what_buys_is_sent_once(transport: Any) -> None:
    """A method that is not idempotent reaches the server once, whatever that says."""
    service = Flaky(5, retry_after=0.0)
    async with serve(service, transport=transport, client_middleware=[retry()], client_timeout=30) as conn:
        with pytest.raises(ServiceUnavailable):
            await KindsClient(conn).echo(Ping(text="hello"))
    assert len(service.attempts) == 1


def test_one_meter() -> None:
    """Whoever shows its figures to a second one is left with the first."""
    first, second = PrometheusMeter(), PrometheusMeter()
    middleware: Any = retry(meter=first)
    middleware.measure(second)
    assert "client_retr" in first.render()[1].decode()
    assert "client_" not in second.render()[1].decode()
