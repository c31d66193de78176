"""OpenTelemetry(): what is sent, under whose name, and that neither calls nor the end wait for a collector."""

from __future__ import annotations

import asyncio
import importlib
import io
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from roundtrip.service import Kinds

from kratos.app import App
from kratos.contrib.otel import OpenTelemetry
from kratos.contrib.otel.logs import Exporting
from kratos.log import Redaction, setup
from kratos.middleware import access_log, tracing
from kratos.testing import serve
from telemetry.stub import Stub, stub

SECONDS = 30.0


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine's counts, and nothing is sent before it has to be."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    monkeypatch.setenv("OTEL_BLRP_SCHEDULE_DELAY", "60000")


@pytest.fixture
def receiver() -> Iterator[Stub]:
    with stub() as got:
        yield got


def app(*hooks: Any, name: str = "shop") -> App:
    return App(name=name, version="1.2.3", hooks=hooks)


def span(otel: OpenTelemetry, name: str = "work") -> None:
    with otel.tracers.get_tracer("test").start_as_current_span(name):
        pass


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
async def test_all_is_sent_at_the_end(receiver: Stub, protocol: Any) -> None:
    """Over both protocols, by endpoints without a path, with the headers that were given."""
    otel = OpenTelemetry(
        endpoint=receiver.grpc if protocol == "grpc" else receiver.http + "/", protocol=protocol,
        headers={"X-Key": "k"}, attributes={"deployment.environment.name": "test"}, flush=SECONDS,
    )  # fmt: skip
    async with app(otel):
        span(otel)
        logging.getLogger("shop").warning("hello %s", "you", extra={"order": 7, "what": ["a"], "none": None})
    (sent,) = receiver.spans
    assert (sent.service, sent.name) == ("shop", "work")
    (log,) = [log for log in receiver.logs if log.text == "hello you"]
    assert (log.service, log.severity, log.trace) == ("shop", "WARNING", "")
    assert log.facts["order"] == "7"  # 64-bit numbers are text in JSON
    assert log.facts["what"] == "['a']"
    assert "none" not in log.facts
    assert log.facts["code.function.name"] == "test_all_is_sent_at_the_end"
    assert receiver.headers["x-key"] == "k"
    resource = receiver.resource
    assert resource["service.version"] == "1.2.3"
    assert len(str(resource["service.instance.id"])) == 32
    assert resource["deployment.environment.name"] == "test"
    assert resource["telemetry.sdk.language"] == "python"


async def test_whose_name_counts(receiver: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program's word over the environment's, and that over the app's."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.grpc)
    plainly, named = OpenTelemetry(), OpenTelemetry(service="own", attributes={"a": "1"})
    async with app(plainly):
        span(plainly)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "deployed")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "a=2,service.version=9")
    async with app(plainly):
        span(plainly)
    assert (receiver.resource["service.version"], receiver.resource["a"]) == ("9", "2")
    async with app(named):
        span(named)
    assert [sent.service for sent in receiver.spans] == ["shop", "deployed", "own"]
    assert receiver.resource["a"] == "1"


async def test_before_and_after(receiver: Stub) -> None:
    """What is made before the app runs and after it has ended goes nowhere, by the same tracer; logs too."""
    otel = OpenTelemetry(endpoint=receiver.grpc, flush=SECONDS)
    tracer = otel.tracers.get_tracer("test")
    for name in ("first", "second"):
        tracer.start_span("outside").end()
        async with app(otel):
            tracer.start_span(name).end()
    tracer.start_span("outside").end()
    logging.getLogger("shop").error("outside")
    assert [sent.name for sent in receiver.spans] == ["first", "second"]
    assert receiver.logs == []
    assert not [each for each in logging.getLogger().handlers if isinstance(each, Exporting)]


async def test_calls_and_their_logs(receiver: Stub) -> None:
    """A record inside of a call has the call's ids, an access line that of its call, each once; others have none."""
    otel = OpenTelemetry(endpoint=receiver.grpc, flush=SECONDS)

    class Logging(Kinds):
        async def echo(self, request: Any, call: Any) -> Any:
            logging.getLogger("shop").error("inside", extra={"request_id": "r1"})
            return await super().echo(request, call)

    service, lines = Logging(), access_log(records=True)
    logging.getLogger("kratos.access").setLevel("INFO")
    try:
        async with app(otel), serve(service, middleware=[tracing(otel.tracers), lines]) as conn:
            await KindsClient(conn).echo(Ping(text="a"))
            sampled = {"traceparent": f"00-{'1' * 32}-{'1' * 16}-00"}
            await KindsClient(conn).echo(Ping(text="a"), headers=sampled)
            await lines.aclose()
            logging.getLogger("shop").error("outside")
    finally:
        logging.getLogger("kratos.access").setLevel("NOTSET")
    (sent,) = receiver.spans
    first, second = service.calls
    assert (sent.trace, sent.id) == (first.fields["trace_id"], first.fields["span_id"])
    assert second.fields["trace_id"] == "1" * 32
    ids = [(call.fields["trace_id"], call.fields["span_id"]) for call in service.calls]
    assert [(log.trace, log.span) for log in receiver.logs if log.text == "inside"] == ids
    access = [log for log in receiver.logs if log.text.startswith("server memory")]
    assert [(log.trace, log.span) for log in access] == ids
    assert [log.flags & 1 for log in access] == [1, 0]
    assert not [log for log in receiver.logs if any(each in log.text for each in ids[0] + ids[1])]
    assert [(log.trace, log.span) for log in receiver.logs if log.text == "outside"] == [("", "")]
    assert not any({"trace_id", "span_id", "trace_flags"} & log.facts.keys() for log in receiver.logs)
    assert [log.facts.get("request_id") for log in receiver.logs if log.text == "inside"] == ["r1", "r1"]


@pytest.mark.parametrize("whose", ["setup", "own"])
async def test_what_is_masked_in_logs(receiver: Stub, whose: str) -> None:
    """What the log masks is masked here too, unless there are other rules."""
    rules = Redaction("iban", patterns=[r"\b\d{16}\b"])
    otel = OpenTelemetry(endpoint=receiver.grpc, flush=SECONDS, logs=rules if whose == "own" else True)
    log = setup(to=io.StringIO(), format="json", redact=Redaction() if whose == "own" else rules)
    try:
        async with app(otel):
            try:
                raise ValueError("card 4111111111111111", {"iban": "DE777"})
            except ValueError:
                logging.getLogger("shop").exception("paid 4111111111111111", extra={"iban": "DE777", "password": "b"})
    finally:
        log.close()
    (sent,) = receiver.logs
    assert (sent.text, sent.facts["iban"], sent.facts["password"]) == ("paid ***", "***", "***")
    assert sent.facts["exception.message"] == "('card ***', {'iban': '***'})"
    assert "DE777" not in receiver.text
    assert "4111" not in receiver.text


async def test_records_of_all_sorts(receiver: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Levels, failures, and records that cannot be made text: none keeps the others from being sent."""
    otel = OpenTelemetry(endpoint=receiver.grpc, flush=SECONDS)
    logger = logging.getLogger("shop.sorts")
    logger.setLevel(1)
    monkeypatch.setattr(logging, "raiseExceptions", False)
    try:
        async with app(otel):
            for level in (1, 5, 10, 15, 20, 30, 40, 50, 99):
                logger.log(level, "level %d", level)
            try:
                raise KeyError("what")
            except KeyError:
                logger.exception("failed")
            (handler,) = [each for each in logging.getLogger().handlers if isinstance(each, Exporting)]
            handler.handle(logger.makeRecord(logger.name, 40, "", 0, "%d", ("no number",), None))
            logging.getLogger("opentelemetry.something").error("its own")
            logger.error("ids that are none", extra={"trace_id": "x", "span_id": "y"})
            logger.error("no ids", extra={"trace_id": "0" * 32, "span_id": "0" * 16})
    finally:
        logger.setLevel("NOTSET")
    texts = [log.text for log in receiver.logs]
    assert texts[:9] == [f"level {level}" for level in (1, 5, 10, 15, 20, 30, 40, 50, 99)]
    assert "its own" not in texts
    (failed,) = [log for log in receiver.logs if log.text == "failed"]
    assert failed.facts["exception.type"] == "builtins.KeyError"
    assert "test_records_of_all_sorts" in failed.facts["exception.stacktrace"]
    assert {log.trace for log in receiver.logs} == {""}


async def test_secrets_stay_here(receiver: Stub) -> None:
    """What the log masks is masked on its way to a collector too."""
    otel = OpenTelemetry(endpoint=receiver.grpc, flush=SECONDS)
    logger = logging.getLogger("shop.secrets")
    async with app(otel):
        logger.error("password=%s", "hunter2", extra={"api_key": "hunter2"})
        try:
            raise ValueError("token=hunter2")
        except ValueError:
            logger.exception("failed")
    masked, failed = (log for log in receiver.logs if log.text != "")
    assert (masked.text, masked.facts["api_key"]) == ("password=***", "***")
    assert failed.facts["exception.type"] == "builtins.ValueError"
    assert "hunter2" not in str([log.facts for log in receiver.logs])


async def test_a_collector_that_does_not_answer(receiver: Stub, caplog: pytest.LogCaptureFixture) -> None:
    """Calls go on at once while requests to it hang, and the app ends when its time is up, with a word about it."""
    receiver.open.clear()
    otel = OpenTelemetry(endpoint=receiver.grpc, flush=0.2)
    async with app(otel), serve(Kinds(), middleware=[tracing(otel.tracers)]) as conn:
        for _ in range(3000):  # more than the queue holds
            await KindsClient(conn).echo(Ping(text="a"))
        assert await asyncio.to_thread(receiver.came.wait, SECONDS)
    assert "were not all sent after 0.2 s" in caplog.text


async def test_no_collector_at_all() -> None:
    """Nobody listens: the app starts, serves and ends."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        nobody = f"http://127.0.0.1:{found.getsockname()[1]}"
    otel = OpenTelemetry(endpoint=nobody, flush=0.2)
    async with app(otel), serve(Kinds(), middleware=[tracing(otel.tracers)]) as conn:
        assert (await KindsClient(conn).echo(Ping(text="a"))).text == "a"


async def test_what_fails_at_the_end_is_logged(
    receiver: Stub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One signal that cannot be ended keeps neither the others nor the app from it."""

    def fails(self: Any) -> None:
        raise RuntimeError("broken")

    otel = OpenTelemetry(endpoint=receiver.grpc, flush=SECONDS)
    monkeypatch.setattr(TracerProvider, "shutdown", fails)
    async with app(otel):
        logging.getLogger("shop").error("kept")
    assert "traces could not be sent to their end: RuntimeError('broken')" in caplog.text
    assert "kept" in [log.text for log in receiver.logs]


async def test_signals_that_are_not_wanted(receiver: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """By argument, by variable, or all of the SDK: nothing is sent, and ids are there all the same."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.grpc)

    async def served(otel: OpenTelemetry) -> None:
        service = Kinds()
        async with app(otel), serve(service, middleware=[tracing(otel.tracers)]) as conn:
            await KindsClient(conn).echo(Ping(text="a"))
            logging.getLogger("shop").error("hello")
        assert len(service.calls[0].fields["trace_id"]) == 32

    await served(OpenTelemetry(traces=False, metrics=False, logs=False))
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    await served(OpenTelemetry())
    monkeypatch.delenv("OTEL_SDK_DISABLED")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", " none ")
    await served(OpenTelemetry())
    assert (receiver.spans, receiver.logs) == ([], [])
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    await served(OpenTelemetry())
    assert receiver.spans == []


async def test_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that asks for what there is not, and an exporter that is not installed, stop the start."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    with pytest.raises(ValueError, match="OTEL_TRACES_EXPORTER=zipkin"):
        await app(OpenTelemetry()).__aenter__()
    monkeypatch.delenv("OTEL_TRACES_EXPORTER")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json")
    with pytest.raises(ValueError, match="http/json"):
        await app(OpenTelemetry()).__aenter__()
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ImportError, match="pip install opentelemetry-exporter-otlp-proto-http"):
        await app(OpenTelemetry(protocol="http/protobuf")).__aenter__()
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    with pytest.raises(ImportError, match=r'pip install "kratos-py\[otel\]"'):
        await app(OpenTelemetry()).__aenter__()


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    module = importlib.import_module("kratos.contrib.otel.telemetry")
    with pytest.raises(ImportError, match=r'pip install "kratos-py\[otel\]"'):
        importlib.reload(module)


def test_as_global(receiver: Stub) -> None:
    """Only who asks for it sets the one global provider; it outlives the app, and comes back with it."""
    script = f"""
import asyncio
from opentelemetry import metrics, trace
from kratos.app import App
from kratos.contrib.otel import OpenTelemetry

async def main():
    quiet = OpenTelemetry(endpoint={receiver.grpc!r})
    async with App(name="shop", hooks=[quiet]):
        trace.get_tracer("others").start_span("nowhere").end()
    otel = OpenTelemetry(endpoint={receiver.grpc!r}, as_global=True, flush=30)
    for name in "ab":
        async with App(name="shop", hooks=[otel]):
            trace.get_tracer("others").start_span(name).end()
            metrics.get_meter("others").create_counter("taken").add(1)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert [sent.name for sent in receiver.spans] == ["a", "b"]
    assert [point.name for point in receiver.points] == ["taken"]


async def test_nothing_global_and_no_thread_before_the_start() -> None:
    """Making it starts nothing."""
    before = threading.active_count()
    otel = OpenTelemetry()
    assert threading.active_count() == before
    assert trace.get_tracer_provider() is not otel.tracers
