"""Traces through three processes, as a receiver of our own has got them; the Collector's say is in tests/interop."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from telemetry.chain import CHAINS, check, running, talk
from telemetry.stub import Stub, stub

CALLS = 5


@pytest.fixture
def receiver() -> Iterator[Stub]:
    with stub() as got:
        yield got


@pytest.mark.parametrize("speaks", CHAINS.values(), ids=CHAINS)
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
async def test_one_trace_through_three_processes(
    receiver: Stub, tmp_path: Path, speaks: tuple[str, ...], protocol: str
) -> None:
    """Right parents, names and kinds, and nothing lost though all are told to end right after the last call."""
    if "native" in speaks and not find_spec("pygrpc_native"):
        pytest.skip("needs kratos-py[native]")
    environment = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc if protocol == "grpc" else receiver.http,
        "OTEL_BSP_SCHEDULE_DELAY": "60000",  # what is sent is sent at the end
    }
    with running(tmp_path, speaks, environment) as chain:
        seen = await talk(chain.url, CALLS)
        chain.stop()
        check(chain, receiver.spans, CALLS)
        assert set(seen) == {line["trace_id"] for line in chain.lines("front") if line["operation"].endswith("Echo")}
    logs = [log for log in receiver.logs if log.text == "asked for a"]
    servers = {(span.service, span.trace, span.id) for span in receiver.spans if span.kind == "server"}
    assert len(logs) == 3 * CALLS
    assert {(log.service, log.trace, log.span) for log in logs} <= servers
    assert not any(name in log.facts for log in logs for name in ("trace_id", "span_id"))


async def test_nothing_is_recorded_and_ids_are_the_same(receiver: Stub, tmp_path: Path) -> None:
    """With a ratio of 0 no span is sent, not even by those who would record all, and logs have one id per trace."""
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc}
    with running(tmp_path, CHAINS["http-grpc-http"], environment, ratios=(0, 1, 1)) as chain:
        seen = await talk(chain.url, CALLS)
        chain.stop()
        assert receiver.spans == []
        ids = [{line["trace_id"] for line in chain.lines(name)} for name in ("front", "middle", "back")]
        assert ids[0] == ids[1] == ids[2]
        assert len(ids[0]) == 2 * CALLS
        assert set(seen) <= ids[0]
        spans = [line["span_id"] for name in ("front", "middle", "back") for line in chain.lines(name)]
        assert len(set(spans)) == 6 * CALLS
    assert {log.trace for log in receiver.logs if log.text == "asked for a"} == set(seen)


async def test_half_is_recorded_whole(receiver: Stub, tmp_path: Path) -> None:
    """With a ratio of one half each trace is there with all its spans or with none; a caller's own word counts."""
    calls = 40
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc}
    asked, not_asked = "1" * 32, "2" * 32
    headers = [{}, {"traceparent": f"00-{asked}-{'1' * 16}-01"}, {"traceparent": f"00-{not_asked}-{'1' * 16}-00"}]
    with running(tmp_path, CHAINS["http-grpc-http"], environment, ratios=(0.5, 0.5, 0.5)) as chain:
        await talk(chain.url, calls, headers)
        chain.stop()
    by_trace: dict[str, int] = {}
    for span in receiver.spans:
        by_trace[span.trace] = by_trace.get(span.trace, 0) + 1
    assert by_trace.pop(asked) == (7 + 5) * 13
    assert not_asked not in by_trace
    assert set(by_trace.values()) <= {7, 5}
    assert 0 < len(by_trace) < 28
