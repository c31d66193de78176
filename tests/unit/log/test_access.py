"""The access line in its three forms."""

from __future__ import annotations

import io
import json
import logging
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.log.access import Line, as_console, as_json, as_record, to_logging, to_stream

OK = Line(1700000000.25, "server", "http", "/shop.v1.Orders/Get", 200, "", 0.0015, "10.0.0.7:52114", {})
BAD = OK._replace(code=503, reason="BUSY", error="come back\nlater", fields={"trace_id": "4bf9"})
STREAM = OK._replace(side="client", component="grpc", requests=1, replies=7)

texts = st.text()
lines = st.builds(
    Line, st.floats(0, 4e9), st.sampled_from(["server", "client"]), texts, texts, st.integers(0, 10**6), texts,
    st.floats(0, 1e6), texts, st.dictionaries(texts, st.one_of(texts, st.integers(), st.floats(), st.none())), texts,
    requests=st.none() | st.integers(0), replies=st.integers(0), args=st.sampled_from(["", '{"a":1}']),
)  # fmt: skip


def test_json() -> None:
    """The members, in Kratos' names."""
    assert json.loads(as_json(OK)) == {
        "ts": "2023-11-14T22:13:20.250000Z",
        "level": "INFO",
        "msg": "server request",
        "kind": "server",
        "component": "http",
        "operation": "/shop.v1.Orders/Get",
        "code": 200,
        "reason": "",
        "latency": 0.0015,
        "peer": "10.0.0.7:52114",
    }


def test_json_of_a_failure_and_of_a_stream() -> None:
    """A failure has its error and the call's fields; a stream has counts."""
    bad = json.loads(as_json(BAD))
    assert (bad["level"], bad["code"], bad["error"], bad["trace_id"]) == ("ERROR", 503, "come back\nlater", "4bf9")
    stream = json.loads(as_json(STREAM))
    assert (stream["msg"], stream["kind"], stream["requests"], stream["replies"]) == ("client request", "client", 1, 7)


@given(lines)
def test_every_line_parses(line: Line) -> None:
    """Whatever text is in whatever field, the line is one line of ASCII, parses, and says what it was given."""
    text = as_json(line)
    assert text.isascii()
    assert len(text.splitlines()) == 1
    found = json.loads(text, parse_constant=pytest.fail)
    assert found["operation"] == line.operation
    assert found["component"] == line.component
    assert (found["code"], found["reason"], found["peer"]) == (line.code, line.reason, line.peer)
    assert found.get("error", "") == line.error


@given(lines)
def test_no_line_steers_a_terminal(line: Line) -> None:
    """A console line is printable, whatever a peer has sent."""
    assert as_console(line).isprintable()


def test_console(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person reads local time, the outcome, milliseconds, and fields that are quoted where they need it."""
    monkeypatch.setattr(time, "localtime", time.gmtime)
    assert as_console(OK) == "22:13:20.250 INFO  server http /shop.v1.Orders/Get 200 1.5ms 10.0.0.7:52114"
    assert as_console(BAD._replace(peer="")) == (
        '22:13:20.250 ERROR server http /shop.v1.Orders/Get 503 BUSY 1.5ms trace_id=4bf9 error="come back\\nlater"'
    )
    assert as_console(STREAM).endswith("requests=1 replies=7")


def test_record() -> None:
    """A record carries the members as attributes and keeps its own."""
    record = as_record(BAD._replace(fields={"trace_id": "4bf9", "name": "mine", "code": "mine"}))
    facts: dict[str, Any] = vars(record)
    assert (record.name, record.levelno, record.created, record.msecs) == ("kratos.access", 40, BAD.at, 250.0)
    assert (facts["kind"], facts["code"], facts["trace_id"]) == ("server", 503, "4bf9")
    assert "requests" not in facts
    assert record.getMessage().startswith("server http /shop.v1.Orders/Get 503 BUSY")


def test_to_logging(caplog: pytest.LogCaptureFixture) -> None:
    """Lines follow the logger's level; a loss is told."""
    with caplog.at_level(logging.ERROR, "kratos.access"):
        to_logging()([OK, BAD], 0)
        to_logging()([], 3)
    assert [record.levelno for record in caplog.records] == [40, 40]
    assert caplog.records[1].getMessage() == "3 access lines lost"


@pytest.mark.parametrize(("format", "tty", "console"), [
    ("auto", True, True), ("auto", False, False), ("json", True, False), ("console", False, True),
])  # fmt: skip
def test_to_stream(format: Any, tty: bool, console: bool) -> None:
    """One write for a batch; the form follows the argument, or what the stream is; losses are lines too."""
    stream = io.StringIO()
    stream.isatty = lambda: tty  # type: ignore[method-assign]  # the seam that a terminal has
    broken = OK._replace(code="x")  # type: ignore[arg-type]  # what a faulty error class could do
    to_stream(stream, format)([OK, broken._replace(latency="x"), BAD], 2)  # type: ignore[arg-type]
    found = stream.getvalue().splitlines()
    assert len(found) == 3
    if console:
        assert found[2] == "3 access lines lost"
    else:
        assert json.loads(found[2])["lost"] == 3
        assert json.loads(found[1])["code"] == 503
