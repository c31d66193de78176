"""The OpenTelemetry Collector receives what three services of ours send: all of it, and one trace per call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from telemetry.chain import CHAINS, check, running, talk

from interop.collector import Collector, build_collector, collecting
from interop.peer import MISSING, has_go

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
async def test_the_collector_gets_everything(collector: Collector, tmp_path: Path, protocol: str) -> None:
    """Traces through HTTP, the native gRPC engine and HTTP, with their logs; nothing is lost at the end."""
    environment = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.grpc if protocol == "grpc" else collector.http,
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }
    with running(tmp_path, CHAINS["http-native-http"], environment) as chain:
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
