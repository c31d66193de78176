"""metrics(): each call counts once, by how it ended, whatever its kind and whoever keeps the numbers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KINDS_ECHO, KINDS_WATCH, KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from roundtrip.service import Kinds

from kratos import App, HTTPServer
from kratos.call import RECORDED, AppInfo, Call
from kratos.errors import Error, GatewayTimeout, InternalServer
from kratos.handler import Handler, chain
from kratos.metadata import Metadata
from kratos.metrics import Meter, NoopMeter, PrometheusMeter
from kratos.metrics.base import Reading
from kratos.middleware import metrics
from kratos.operation import Unary
from kratos.testing import FakeClock, serve

ECHO = "/fixture.kinds.v1.Kinds/Echo"


def counted(meter: PrometheusMeter, name: str) -> dict[tuple[str, ...], float]:
    """Returns the values of one name by those of its labels, in the alphabetic order of their names."""
    text = meter.render("application/openmetrics-text")[1].decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for sample in samples
        if sample.name == name
    }


def outcomes(meter: PrometheusMeter, side: str = "server") -> dict[tuple[str, ...], float]:
    """Returns how calls have ended: code, kind, operation, reason. Success is there from the first call on, with 0."""
    return {key: value for key, value in counted(meter, f"{side}_requests_code_total").items() if value}


def call_of(operation: Any = KINDS_ECHO, side: Any = "server", **facts: Any) -> Call:
    call = Call(operation, kind="http", side=side, headers=Metadata())
    for name, fact in facts.items():
        setattr(call, name, fact)
    return call


async def reply(request: Any, call: Call) -> Any:
    return request


def failing(failure: BaseException) -> Handler:
    async def handler(request: Any, call: Call) -> Any:
        raise failure

    return handler


async def test_both_sides() -> None:
    """Server and client count each call, under Kratos' names and labels."""
    meter = PrometheusMeter()
    async with serve(Kinds(), middleware=[metrics(meter)], client_middleware=[metrics(meter)]) as conn:
        api = KindsClient(conn)
        for _ in range(3):
            await api.echo(Ping(text="a"))
        with pytest.raises(Nope):
            await api.echo(Ping(text="nope"))
        with pytest.raises(InternalServer):
            await api.echo(Ping(text="crash"))
    for side in ("server", "client"):
        assert outcomes(meter, side) == {  # code, kind, operation, reason
            ("200", "memory", ECHO, ""): 3,
            ("404", "memory", ECHO, "NOPE"): 1,
            ("500", "memory", ECHO, "UNKNOWN"): 1,
        }
        assert counted(meter, f"{side}_requests_seconds_count") == {("memory", ECHO): 5}
        assert counted(meter, f"{side}_requests_in_flight") == {("memory", ECHO): 0}
        bounds = [le for _, le, _ in counted(meter, f"{side}_requests_seconds_bucket")]
        assert bounds == ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "+Inf"]


@pytest.mark.parametrize(
    ("failure", "code", "reason"),
    [
        (Nope("x"), "404", "NOPE"),
        (Error("x", code=422, reason="ODD"), "422", "ODD"),
        (ExceptionGroup("wrapped", [Nope("x")]), "404", "NOPE"),
        (ValueError("x"), "500", "UNKNOWN"),
        (KeyboardInterrupt(), "500", "UNKNOWN"),
        (asyncio.CancelledError(), "499", "CANCELLED"),
    ],
)
async def test_how_calls_end(failure: BaseException, code: str, reason: str) -> None:
    """Errors count by code and reason, a caller who left as 499, anything else as 500; all of them pass on."""
    meter = PrometheusMeter()
    with pytest.raises(type(failure)):
        await metrics(meter)(None, call_of(), failing(failure))
    assert outcomes(meter) == {(code, "http", ECHO, reason): 1}
    assert counted(meter, "server_requests_in_flight") == {("http", ECHO): 0}


async def test_time_is_up() -> None:
    """A deadline is a 504 on both sides, and no call whose caller left."""
    meter = PrometheusMeter()
    both = [metrics(meter)]
    with FakeClock() as clock:
        async with serve(Kinds(), middleware=both, client_middleware=both, timeout=1.0, client_timeout=9.0) as conn:
            call = asyncio.ensure_future(KindsClient(conn).echo(Ping(text="hang")))
            await clock.advance(1.1)
            with pytest.raises(GatewayTimeout):
                await call
    for side in ("server", "client"):
        assert outcomes(meter, side) == {("504", "memory", ECHO, "DEADLINE_EXCEEDED"): 1}


async def test_a_caller_who_leaves() -> None:
    """Calls under way are in flight; one whose caller leaves counts as 499."""
    meter, service = PrometheusMeter(), Kinds()
    async with serve(service, middleware=[metrics(meter)]) as conn:
        call = asyncio.ensure_future(KindsClient(conn).echo(Ping(text="hang")))
        while not service.hanging:
            await asyncio.sleep(0)
        assert counted(meter, "server_requests_in_flight") == {("memory", ECHO): 1}
        call.cancel()
        await asyncio.wait([call])
    assert counted(meter, "server_requests_in_flight") == {("memory", ECHO): 0}
    assert outcomes(meter) == {("499", "memory", ECHO, "CANCELLED"): 1}


async def test_statuses() -> None:
    """A status that the handler chose is the code."""
    meter = PrometheusMeter()

    async def moved(request: Any, call: Call) -> Any:
        call.reply.redirect("/there")

    await metrics(meter)(None, call_of(), moved)
    assert outcomes(meter) == {("303", "http", ECHO, ""): 1}


async def test_streams() -> None:
    """A stream is one call, and its messages count as they pass, in both directions and on both sides."""
    meter = PrometheusMeter()
    both = [metrics(meter)]
    async with serve(Kinds(), middleware=both, client_middleware=both) as conn:
        api = KindsClient(conn)
        async with api.watch(Ping(text="a", count=5)) as replies:
            assert len([each async for each in replies]) == 5
        async with api.collect() as stream:
            for _ in range(3):
                await stream.send(Ping(text="a"))
            await stream.reply()
        async with api.chat() as talk:
            await talk.send(Ping(text="a"))
            await talk.done()
            chatted = len([each async for each in talk])
    of = {name: f"/fixture.kinds.v1.Kinds/{name}" for name in ("Watch", "Collect", "Chat")}
    requests = {of["Watch"]: 1, of["Collect"]: 3, of["Chat"]: 1}
    replies_ = {of["Watch"]: 5, of["Collect"]: 1, of["Chat"]: chatted}
    for name, expected in (
        ("server_messages_received_total", requests),
        ("server_messages_sent_total", replies_),
        ("client_messages_sent_total", requests),
        ("client_messages_received_total", replies_),
    ):
        assert {operation: value for (_, operation), value in counted(meter, name).items()} == expected
    for side in ("server", "client"):
        assert outcomes(meter, side) == {("200", "memory", operation, ""): 1 for operation in of.values()}


async def test_a_stream_that_fails() -> None:
    """The call counts by its error, its messages as far as they came."""
    meter = PrometheusMeter()
    async with (
        serve(Kinds(), middleware=[metrics(meter)]) as conn,
        KindsClient(conn).watch(Ping(text="nope", count=2)) as replies,
    ):
        with pytest.raises(Nope):
            _ = [each async for each in replies]
    watch = KINDS_WATCH.name
    assert outcomes(meter) == {("404", "memory", watch, "NOPE"): 1}
    assert counted(meter, "server_messages_sent_total") == {("memory", watch): 2}
    assert counted(meter, "server_requests_in_flight") == {("memory", watch): 0}


async def test_the_meter_of_the_app() -> None:
    """Without a meter, calls count with the app that serves them, or inside of whose call they are made."""
    meter = PrometheusMeter()
    serving = call_of(app=AppInfo(meter=meter))
    middleware = [metrics()]
    await chain(middleware, reply, KINDS_ECHO)(None, serving)
    client = chain(middleware, reply, KINDS_ECHO)
    await client(None, call_of(side="client"))  # nobody serves: nowhere to count
    await client(None, call_of(side="client", parent=serving))
    await client(None, call_of(side="client"))  # from now on it is known
    assert outcomes(meter) == {("200", "http", ECHO, ""): 1}
    assert outcomes(meter, "client") == {("200", "http", ECHO, ""): 2}


async def test_nowhere_to_count() -> None:
    """Without a meter the middleware is not in the way."""
    for middleware in (metrics(), metrics(NoopMeter())):
        for call in (call_of(), call_of(app=AppInfo()), call_of(KINDS_WATCH, app=AppInfo())):
            handler = chain([middleware], reply, call.operation)
            assert [await handler("x", call), await handler("y", call)] == ["x", "y"]
            assert await middleware("z", call, reply) == "z"


async def test_a_meter_that_refuses(caplog: pytest.LogCaptureFixture) -> None:
    """Calls are served, and one line says why they are not counted."""
    meter = PrometheusMeter()
    meter.counter("server_requests_code_total", labels=("something",))
    handler = chain([metrics(meter)], reply, KINDS_ECHO)
    with caplog.at_level(logging.ERROR):
        assert [await handler(number, call_of()) for number in range(3)] == [0, 1, 2]
    assert [record.message for record in caplog.records] == ["metrics() cannot count the calls of this server"]


async def test_buckets() -> None:
    """Other bounds may be had."""
    meter = PrometheusMeter()
    await metrics(meter, buckets=(1, 30))(None, call_of(), reply)
    assert [le for _, le, _ in counted(meter, "server_requests_seconds_bucket")] == ["1.0", "30.0", "+Inf"]


async def test_reasons_without_end() -> None:
    """However many reasons peers think of, memory and series are bounded, and every call counts."""
    meter = PrometheusMeter(limit=300)
    handler = chain([metrics(meter)], reply, KINDS_ECHO)
    for number in range(1000):
        failed = chain([metrics(meter)], failing(Error("x", code=400, reason=f"R{number % 500}")), KINDS_ECHO)
        with pytest.raises(Error):
            await failed(None, call_of())
    await handler(None, call_of())
    found = outcomes(meter)
    assert len(found) == 301
    assert sum(found.values()) == 1001


async def test_reasons_are_remembered_up_to_a_limit() -> None:
    """One chain that meets more reasons than it remembers still counts each."""
    meter = PrometheusMeter()
    reasons = iter(range(500))

    async def odd(request: Any, call: Call) -> Any:
        raise Error("x", code=400, reason=f"R{next(reasons) % 250}")

    handler = chain([metrics(meter)], odd, KINDS_ECHO)
    for _ in range(500):
        with pytest.raises(Error):
            await handler(None, call_of())
    found = outcomes(meter)
    assert {value for key, value in found.items() if key[0] == "400"} == {2}
    assert len(found) == 250


async def test_exemplars() -> None:
    """A call whose trace is recorded leads to it from its bucket."""
    meter = PrometheusMeter()
    call = call_of(fields={"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"})
    call.state[RECORDED] = True
    await metrics(meter)(None, call, reply)
    await metrics(meter)(None, call_of(fields={"trace_id": "1" * 32, "span_id": "1" * 16}), reply)
    text = meter.render("application/openmetrics-text")[1].decode()
    (exemplar,) = {
        tuple(sample.exemplar.labels.items())
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.exemplar
    }
    assert exemplar == (("span_id", "b7ad6b7169203331"), ("trace_id", "0af7651916cd43dd8448eb211c80319c"))


class Line:
    """A metric as lines of StatsD: what somebody writes who has no Prometheus."""

    def __init__(
        self, lines: list[str], name: str, kind: str, names: Sequence[str], values: Sequence[str] = ()
    ) -> None:
        self.facts = (lines, name, kind, names)
        self.tags = ",".join(f"{name}:{value}" for name, value in zip(names, values, strict=False))

    def labels(self, *values: str) -> Self:
        return type(self)(*self.facts, values)

    def add(self, amount: float = 1, /) -> None:
        lines, name, kind, _ = self.facts
        lines.append(f"{name}:{amount}|{kind}|#{self.tags}")

    set = add

    def observe(self, value: float, exemplar: Mapping[str, str] | None = None, /) -> None:
        self.add(round(value, 3))


class StatsD:
    """The meter of that."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def counter(self, name: str, help: str = "", *, labels: Sequence[str] = ()) -> Line:
        return Line(self.lines, name, "c", labels)

    def gauge(self, name: str, help: str = "", *, labels: Sequence[str] = ()) -> Line:
        return Line(self.lines, name, "g", labels)

    def histogram(
        self, name: str, help: str = "", *, labels: Sequence[str] = (), buckets: Sequence[float] = ()
    ) -> Line:
        return Line(self.lines, name, "h", labels)

    def observed(
        self, name: str, help: str, read: Reading, *, labels: Sequence[str] = (), counter: bool = False
    ) -> Callable[[], None]:
        return lambda: None


async def test_a_foreign_meter() -> None:
    """A meter of one's own takes what Prometheus' takes, from the app as from calls."""
    meter = StatsD()
    typed: Meter = meter
    app = App(name="shop", version="1", middleware=[metrics()], services=[Kinds()], meter=typed)
    await chain([metrics()], reply, KINDS_ECHO)(None, call_of(app=app.info))
    tags = f"kind:http,operation:{ECHO}"
    assert meter.lines[0].startswith("kratos_build_info:1|g|#version:")
    assert meter.lines[1:] == [
        f"server_requests_in_flight:1|g|#{tags}",
        meter.lines[2],
        f"server_requests_in_flight:-1|g|#{tags}",
        f"server_requests_code_total:1|c|#{tags},code:200,reason:",
    ]
    assert meter.lines[2].startswith("server_requests_seconds:0.0|h|#")


async def test_what_the_app_tells() -> None:
    """The app has a meter of its own, says who it is, and has its parts show what they have."""

    class Part:
        meter: Meter | None = None

        def measure(self, meter: Meter) -> None:
            self.meter = meter

        async def __call__(self, request: Any, call: Call, next: Handler) -> Any:
            return await next(request, call)

    part = Part()
    app = App(name="shop", version="1.2", middleware=[part], servers=[HTTPServer(None)])
    assert part.meter is app.meter is app.info.meter
    assert isinstance(app.meter, PrometheusMeter)
    ((app_version, name, _),) = counted(app.meter, "kratos_build_info")
    assert (app_version, name) == ("1.2", "shop")


async def test_a_meter_that_holds_something() -> None:
    """A meter that can be closed is closed with the app."""

    class Buffered(NoopMeter):
        closed = 0

        async def aclose(self) -> None:
            Buffered.closed += 1

    async with App(name="shop", middleware=[], meter=Buffered()):
        pass
    assert Buffered.closed == 1


def test_two_operations() -> None:
    """What is bound for one operation is not what is bound for another."""
    middleware: Any = metrics(PrometheusMeter())
    other = Unary("/a.B/C", Ping, Pong)
    assert middleware.bind(KINDS_ECHO) != middleware.bind(other)
