"""OpenTelemetry().meter: what is measured arrives, whenever it was made."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from roundtrip.service import Kinds

from kratos.app import App, Shutdown
from kratos.contrib.otel import OpenTelemetry
from kratos.contrib.otel.meter import LateMeter
from kratos.middleware import metrics, tracing
from kratos.transport.http import HTTPClient, HTTPServer
from telemetry.stub import Stub, stub


@pytest.fixture
def receiver() -> Iterator[Stub]:
    with stub() as got:
        yield got


class Shown:
    """A meter, and what is read of it."""

    def __init__(self) -> None:
        self.meter = LateMeter()
        self._reader = InMemoryMetricReader()
        self._provider = MeterProvider([self._reader], shutdown_on_exit=False)

    def attach(self) -> None:
        self.meter.attach(self._provider.get_meter("test"))

    def points(self) -> dict[str, dict[tuple[tuple[str, Any], ...], Any]]:
        """Returns the points by name and attributes."""
        data: Any = self._reader.get_metrics_data()
        found: dict[str, dict[tuple[tuple[str, Any], ...], Any]] = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        found.setdefault(metric.name, {})[tuple(point.attributes.items())] = point
        return found


async def test_all_kinds_arrive(receiver: Stub) -> None:
    """Counters and gauges from before the start and after it, histograms, and what is read, under the app's name."""
    otel = OpenTelemetry(endpoint=receiver.grpc, traces=False, logs=False, flush=30)
    calls = otel.meter.counter("calls_total", "Calls.", labels=("kind", "code"))
    calls.labels("http", "200").add()
    async with App(name="shop", hooks=[otel]):
        calls.labels("http", "200").add(2)
        calls.labels("grpc", "200").add()
        otel.meter.gauge("flying").set(7)
        otel.meter.gauge("flying").add(-2)
        seconds = otel.meter.histogram("seconds", labels=("kind",))
        for value in (0.001, 0.3, 9.0):
            seconds.labels("http").observe(value)
        otel.meter.observed("open", "Connections.", lambda: {("a",): 1.0, ("b",): 2.0}, labels=("server",))
        otel.meter.observed("lag_total", "", lambda: 3.0, counter=True)
    points = {(point.name, *point.facts.values()): point.data for point in receiver.points}
    assert {point.service for point in receiver.points} == {"shop"}
    histogram = points.pop(("seconds", "http"))
    assert histogram["bucketCounts"] == ["1", "0", "0", "0", "0", "0", "1", "0", "1"]
    assert histogram["explicitBounds"] == [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0]
    assert {name: float(data.get("asDouble", data.get("asInt"))) for name, data in points.items()} == {
        ("calls_total", "http", "200"): 3.0,
        ("calls_total", "grpc", "200"): 1.0,
        ("flying",): 5.0,
        ("open", "a"): 1.0,
        ("open", "b"): 2.0,
        ("lag_total",): 3.0,
    }


async def test_the_app_s_own_metrics(receiver: Stub) -> None:
    """What metrics() counts is sent, and its examples lead to the spans of recorded calls."""
    otel = OpenTelemetry(endpoint=receiver.grpc, logs=False, flush=30)
    server = HTTPServer("127.0.0.1:0")
    app = App(
        name="shop", services=[Kinds()], servers=[server], hooks=[otel], meter=otel.meter,
        middleware=[tracing(otel.tracers), metrics()], shutdown=Shutdown(drain=0, hook=60),
    )  # fmt: skip
    async with app, HTTPClient(app.info.endpoints[0], timeout=30) as conn:
        await KindsClient(conn).echo(Ping(text="a"))
        await KindsClient(conn).echo(Ping(text="a"), headers={"traceparent": f"00-{'1' * 32}-{'1' * 16}-00"})
        with pytest.raises(Nope):
            await KindsClient(conn).echo(Ping(text="nope"))
    counts = {
        (point.facts["code"], point.facts["reason"]): float(point.data.get("asDouble", point.data.get("asInt")))
        for point in receiver.points
        if point.name == "server_requests_code_total" and point.facts["operation"].endswith("Echo")
    }
    assert counts == {("200", ""): 2.0, ("404", "NOPE"): 1.0}
    (seconds,) = [point for point in receiver.points if point.name == "server_requests_seconds"]
    assert seconds.data["count"] == "3"
    examples = {b64decode(each["spanId"]).hex() for each in seconds.data["exemplars"]}
    assert examples
    assert examples <= {span.id for span in receiver.spans}


async def test_examples_lead_to_spans() -> None:
    """A value observed in a recorded span carries its ids."""

    shown = Shown()
    seconds = shown.meter.histogram("seconds")
    seconds.observe(1.0)  # nobody is there yet
    shown.attach()
    with TracerProvider(shutdown_on_exit=False).get_tracer("test").start_as_current_span("work") as span:
        seconds.observe(0.1)
    (point,) = shown.points()["seconds"].values()
    (exemplar,) = point.exemplars
    context = span.get_span_context()
    assert (point.count, exemplar.trace_id, exemplar.span_id) == (1, context.trace_id, context.span_id)


def test_the_same_name_is_the_same_thing() -> None:
    """Who asks twice gets the same; who asks for something else is told."""
    meter = LateMeter()
    assert meter.counter("a_total", labels=("x",)) is meter.counter("a_total", labels=("x",))
    assert meter.counter("a_total", labels=("x",)).labels("1") is meter.counter("a_total", labels=("x",)).labels("1")
    for other in (
        lambda: meter.counter("a_total"),
        lambda: meter.gauge("a_total", labels=("x",)),
        lambda: meter.observed("a_total", "", lambda: 1.0, labels=("x",)),
    ):
        with pytest.raises(ValueError, match="a_total is there already"):
            other()
    with pytest.raises(ValueError, match=r"say which one, \.labels\(x\)"):
        meter.counter("a_total", labels=("x",)).add()
    with pytest.raises(ValueError, match="was given 2 values"):
        meter.counter("a_total", labels=("x",)).labels("1", "2")
    with pytest.raises(ValueError, match="only grows"):
        meter.counter("b_total").add(-1)


def test_too_many_series_are_one() -> None:
    """Beyond the limit all else is counted under labels that say so; what is no text is made text."""
    shown = Shown()
    shown.attach()
    counter = shown.meter.counter("a_total", labels=("x",))
    counter.labels("\udcff").add()
    for number in range(2500):
        counter.labels(str(number)).add()
    counter.labels("0").add()
    assert counter.labels("2400") is counter.labels("overflow")
    assert counter.labels("0").value == 2
    assert counter.labels("overflow").value == 501
    assert (("x", "?"),) in shown.points()["a_total"]


def test_readers_come_and_go(caplog: pytest.LogCaptureFixture) -> None:
    """Values of one name add up; one that fails is left out; one that has ended is gone."""
    shown = Shown()
    shown.attach()

    def fails() -> float:
        raise RuntimeError("gone")

    first = shown.meter.observed("open", "", lambda: 1.0)
    second = shown.meter.observed("open", "", lambda: 2.0)
    shown.meter.observed("open", "", fails)
    assert shown.points()["open"][()].value == 3.0
    assert "open cannot be read" in caplog.text
    first()
    first()
    assert shown.points()["open"][()].value == 2.0
    second()
    assert "open" not in shown.points()
