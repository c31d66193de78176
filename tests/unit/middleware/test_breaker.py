"""breaker(): what counts as a failure, who is refused, and which node is passed by."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KINDS_CHAT, KINDS_ECHO, KINDS_WATCH, KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping
from roundtrip.service import Kinds

from kratos.call import ADMIT, AppInfo, Call, Peer
from kratos.errors import ClientClosed, Error, GatewayTimeout, InternalServer, NotFound, ServiceUnavailable
from kratos.handler import Handler, chain
from kratos.live import Live
from kratos.metadata import Metadata
from kratos.metrics import PrometheusMeter
from kratos.middleware import breaker
from kratos.resilience import SRE
from kratos.testing import FakeClock, serve

FEW = SRE(requests=1, most_dropped=1.0)
NODE = Peer("10.0.0.1:80")


class Breaker:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.open = False
        self.marks: list[str] = []

    @property
    def drop_ratio(self) -> float:
        return 1.0 if self.open else 0.0

    def allow(self) -> bool:
        return not self.open

    def mark_success(self) -> None:
        self.marks.append("ok")

    def mark_failure(self) -> None:
        self.marks.append("failed")


class Made(list[Breaker]):
    """The breakers that were made, in order."""

    def __call__(self) -> Breaker:
        self.append(Breaker())
        return self[-1]


def call_of(operation: Any = KINDS_ECHO, app: AppInfo | None = None) -> Call:
    parent = None if app is None else Call(operation, kind="test", side="server", headers=Metadata(), app=app)
    return Call(operation, kind="test", side="client", headers=Metadata(), parent=parent)


async def handler(request: Any, call: Call) -> Any:
    """Stands for a client whose nodes are asked for: the call goes to the one there is, if it may."""
    admit = call.state[ADMIT]
    if not admit(NODE.address):
        raise ServiceUnavailable("request failed due to circuit breaker triggered", reason="CIRCUITBREAKER")
    call.peer = NODE
    if isinstance(request, BaseException):
        raise request
    return request


async def outcome_of(run: Handler, request: Any, operation: Any = KINDS_ECHO) -> str:
    try:
        await run(request, call_of(operation))
    except Error as error:
        return error.reason or str(error.code)
    except (ValueError, asyncio.CancelledError) as failure:
        return type(failure).__name__
    return "ok"


@pytest.mark.parametrize(
    ("end", "marks"),
    [
        ("fine", ["ok"]),
        (InternalServer("500"), ["failed"]),
        (ServiceUnavailable("503"), ["failed"]),
        (GatewayTimeout("504"), ["failed"]),
        (ValueError("a crash is a 500"), ["failed"]),
        (ExceptionGroup("wrapped", [NotFound("404")]), ["ok"]),
        (Error("502", code=502), ["ok"]),
        (Error("501", code=501), ["ok"]),
        (NotFound("404"), ["ok"]),
        (Error("429", code=429), ["ok"]),
        (ClientClosed("499"), ["ok"]),
        (asyncio.CancelledError(), []),
    ],
)
@pytest.mark.parametrize("operation", [KINDS_ECHO, KINDS_CHAT])
async def test_what_counts(end: Any, marks: list[str], operation: Any) -> None:
    """500, 503, 504 and exceptions are failures, all other answers are not; who gave up is neither. Nodes as well."""
    made = Made()
    run = chain([breaker(made)], handler, operation)
    if isinstance(end, BaseException):
        with pytest.raises(type(end)):
            await run(end, call_of(operation))
    else:
        assert await run(end, call_of(operation)) == end
    assert [each.marks for each in made] == ([marks, marks] if marks else [[]])


async def test_by_operation() -> None:
    """Each has its own, made when a chain is; the second call finds the same."""
    made = Made()
    middleware = [breaker(made)]
    echo, watch = chain(middleware, handler, KINDS_ECHO), chain(middleware, handler, KINDS_WATCH)
    assert len(made) == 2
    await echo("a", call_of())
    await echo("b", call_of())
    await watch("c", call_of(KINDS_WATCH))
    assert [each.marks for each in made] == [["ok", "ok"], ["ok"], ["ok", "ok"], ["ok"]]


async def test_refused() -> None:
    """503 with Kratos' reason and message, nobody is asked, and it counts as a failure."""
    made = Made()
    run = chain([breaker(made)], handler, KINDS_ECHO)
    made[0].open = True

    with pytest.raises(ServiceUnavailable) as refused:
        await run(AssertionError("nobody is asked"), call_of())
    assert (refused.value.code, refused.value.reason) == (503, "CIRCUITBREAKER")
    assert refused.value.message == "request failed due to circuit breaker triggered"
    assert made[0].marks == ["failed"]


async def test_a_node_is_refused() -> None:
    """A call that no node was right for counts for the operation; the node took note itself."""
    made = Made()
    run = chain([breaker(made, chance=lambda: 0.5)], handler, KINDS_ECHO)
    assert await outcome_of(run, "a") == "ok"
    made[1].open = True
    assert await outcome_of(run, "b") == "CIRCUITBREAKER"
    assert [each.marks for each in made] == [["ok", "failed"], ["ok", "failed"]]


async def test_the_node_of_an_attempt_before() -> None:
    """It has nothing to do with an attempt that finds none."""
    made = Made()
    run = chain([breaker(made)], handler, KINDS_ECHO)
    await run("a", call_of())
    call = call_of()
    call.peer = NODE

    async def nobody(request: Any, call: Call) -> Any:
        raise ServiceUnavailable("nobody is there", reason="NODE_NOT_FOUND")

    run = chain([breaker(made)], nobody, KINDS_ECHO)
    with pytest.raises(ServiceUnavailable):
        await run("b", call)
    assert [each.marks for each in made] == [["ok"], ["ok"], ["failed"]]


async def test_a_peer_whose_breaker_tripped() -> None:
    """Its answer is a failure like any 503, of the node that gave it."""
    made = Made()
    run = chain([breaker(made)], handler, KINDS_ECHO)
    assert await outcome_of(run, ServiceUnavailable("theirs", reason="CIRCUITBREAKER")) == "CIRCUITBREAKER"
    assert [each.marks for each in made] == [["failed"], ["failed"]]


async def test_live_settings() -> None:
    """They count from the next call on."""
    settings = Live(SRE())
    clock = FakeClock()
    run = chain([breaker(settings, clock=clock, chance=lambda: 0.0)], handler, KINDS_ECHO)
    for _ in range(19):
        await outcome_of(run, InternalServer("down"))
    assert await outcome_of(run, "a") == "ok"
    settings.set(FEW)
    assert await outcome_of(run, InternalServer("down")) == "500"
    assert await outcome_of(run, "a") == "CIRCUITBREAKER"


async def test_outside_of_a_chain() -> None:
    """Called by itself it lets a call through, and has no past."""
    middleware: Any = breaker(FEW, clock=FakeClock(), chance=lambda: 0.0)
    for _ in range(3):
        with pytest.raises(InternalServer):
            await middleware(InternalServer("down"), call_of(), handler)


async def test_a_fixed_target() -> None:
    """Where nobody picks nodes the operation's breaker does the work; it opens, and closes when time has passed."""
    clock = FakeClock()
    chain_ = [breaker(SRE(requests=5), clock=clock, chance=lambda: 0.0)]
    async with serve(Kinds(), client_middleware=chain_) as conn:
        api = KindsClient(conn)
        for _ in range(5):
            with pytest.raises(InternalServer):
                await api.echo(Ping(text="crash"))
        with pytest.raises(ServiceUnavailable, match="circuit breaker"):
            await api.echo(Ping(text="fine"))
        async with api.chat() as stream:  # another operation
            await stream.send(Ping(text="hello"))
            assert (await anext(aiter(stream))).text == "hello"
        with clock:
            await clock.advance(10.0)
        assert (await api.echo(Ping(text="fine"))).text == "fine"


async def test_the_side_of_servers() -> None:
    """It may stand there too; the peer is then who calls, and stays known."""
    middleware: Any = breaker(FEW)
    call = Call(KINDS_ECHO, kind="test", side="server", headers=Metadata(), peer=NODE)

    async def look(request: Any, call: Call) -> Any:
        return call.peer

    assert await middleware("a", call, look) is NODE


def lines_of(meter: PrometheusMeter) -> list[str]:
    return [line for line in meter.render()[1].decode().splitlines() if line.startswith("client_breaker")]


@pytest.mark.parametrize("given", [True, False])
async def test_figures(given: bool) -> None:
    """How much each operation refuses, and how many it has, as long as there is a client; to the meter there is."""
    meter = PrometheusMeter()
    settings = SRE(requests=1, most_dropped=1.0)
    middleware = breaker(settings, meter=meter if given else None, clock=FakeClock(), chance=lambda: 0.0)
    run = chain([middleware], handler, KINDS_ECHO)
    other = chain([middleware], handler, KINDS_ECHO)
    app = None if given else AppInfo(name="shop", meter=meter)
    for _ in range(2):
        with pytest.raises(ServiceUnavailable):
            await run(ServiceUnavailable("down"), call_of(app=app))
    await other("fine", call_of())
    operation = '{operation="/fixture.kinds.v1.Kinds/Echo"}'
    assert f"client_breaker_refused_total{operation} 1.0" in lines_of(meter)
    (ratio,) = (line for line in lines_of(meter) if line.startswith(f"client_breaker_drop_ratio{operation}"))
    assert 0.6 < float(ratio.rsplit(" ", 1)[1]) < 0.7
    del run, other
    gc.collect()
    assert not any("drop_ratio{" in line for line in lines_of(meter))


def test_one_meter() -> None:
    """Whoever shows its figures to a second one is left with the first."""
    first, second = PrometheusMeter(), PrometheusMeter()
    middleware: Any = breaker(meter=first)
    middleware.measure(second)
    run = chain([middleware], handler, KINDS_ECHO)
    assert "client_breaker" in first.render()[1].decode()
    assert "client_" not in second.render()[1].decode()
    del run
