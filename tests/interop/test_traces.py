"""Judges of traces: the OpenTelemetry Collector gets all that services of ours send, and Kratos for Go is one hop."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from roundtrip.service import Kinds
from telemetry.chain import CHAINS, check, running, talk

from interop.collector import Collector, build_collector, collecting
from interop.contract import HERE
from interop.peer import MISSING, SECONDS, built, has_go, said
from kratos import App, HTTPClient, HTTPServer, Shutdown
from kratos.middleware import tracing

pytestmark = pytest.mark.interop

CALLS = 20


@pytest.fixture(scope="session")
def collector_program() -> Path:
    if not has_go():
        pytest.skip(MISSING)
    return build_collector()


@pytest.fixture
def collector(collector_program: Path, tmp_path: Path) -> Iterator[Collector]:
    with collecting(collector_program, tmp_path) as got:
        yield got


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("speaks", CHAINS)
async def test_the_collector_gets_everything(collector: Collector, tmp_path: Path, protocol: str, speaks: str) -> None:
    """Traces through three services over mixed transports, with their logs; nothing is lost at the end."""
    environment = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.grpc if protocol == "grpc" else collector.http,
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }
    with running(tmp_path, CHAINS[speaks], environment) as chain:
        seen = await talk(chain.url, CALLS)
        chain.stop()
        collector.stop()
        check(chain, collector.spans, CALLS)
    logs = [log for log in collector.logs if log.text == "asked for a"]
    servers = {(span.service, span.trace, span.id) for span in collector.spans if span.kind == "server"}
    assert len(logs) == 3 * CALLS
    assert {(log.service, log.trace, log.span) for log in logs} <= servers
    assert {log.trace for log in logs} == set(seen)
    assert {log.severity for log in logs} == {"WARNING"}


@pytest.fixture(scope="session")
def kratos_program() -> Path:
    if not has_go():
        pytest.skip(MISSING)

    def make(folder: Path, made: Path) -> None:
        said("go", "build", "-trimpath", "-o", str(made), ".", cwd=HERE / "kratosv2")

    return built("kratosv2", sorted((HERE / "kratosv2").iterdir()), "", make)


@contextmanager
def kratos(program: Path, following: str) -> Iterator[str]:
    """Runs Kratos for Go in front of a service; gives its URL."""
    process = subprocess.Popen(
        [str(program), following], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "NO_PROXY": "*"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def recorded(url: str) -> dict[str, dict[str, str]]:
    """Returns the spans that Kratos for Go has recorded, by kind."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=SECONDS)
    connection.request("GET", "/spans")
    spans = json.loads(connection.getresponse().read())
    connection.close()
    return {span["kind"]: span for span in spans if span["http.target"] == "/kinds/echo"}


@pytest.mark.parametrize("sampled", [True, False])
async def test_through_kratos_for_go(kratos_program: Path, sampled: bool) -> None:
    """A call from us through Kratos for Go to us is one trace, and each knows who called; unrecorded is so for all."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans = tracing(provider, sample=float(sampled), service="front")
    back = Kinds()
    server = HTTPServer("127.0.0.1:0")
    app = App(name="back", services=[back], servers=[server], middleware=[spans], shutdown=Shutdown(drain=0))
    async with app:
        with kratos(kratos_program, app.info.endpoints[0]) as url:
            async with HTTPClient(url, middleware=[spans], timeout=SECONDS) as conn:
                reply = await KindsClient(conn).echo(Ping(text="a", count=3))
            theirs = await asyncio.to_thread(recorded, url)
    assert reply == Pong(text="a", count=3)
    (call,) = back.calls
    assert call.headers.get("x-md-service-name") == "gopher"
    ours = {span.kind: span for span in exporter.get_finished_spans()}
    if not sampled:
        assert (ours, theirs) == ({}, {})
        return
    assert theirs["server"]["peer.service"] == "front"
    first, last = ours[SpanKind.CLIENT], ours[SpanKind.SERVER]
    assert first.context is not None
    assert last.context is not None
    assert last.parent is not None
    assert dict(last.attributes or {})["service.peer.name"] == "gopher"
    ids = [f"{first.context.span_id:016x}", theirs["server"]["id"], theirs["client"]["id"]]
    assert [theirs["server"]["parent"], theirs["client"]["parent"], f"{last.parent.span_id:016x}"] == ids
    traces = {theirs["server"]["trace"], theirs["client"]["trace"], f"{last.context.trace_id:032x}"}
    assert traces == {f"{first.context.trace_id:032x}"}
