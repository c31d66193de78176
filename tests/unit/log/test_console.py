"""What a program logs, for a person and for machines."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kratos.log.access import Line, as_console, as_record
from kratos.log.console import as_json as json_of
from kratos.log.console import as_text as text_of
from kratos.log.entry import entry_of
from kratos.log.install import Log, setup

AT = 1700000000.25
COLOUR = re.compile("\x1b\\[[0-9;]*m")

texts = st.text()
records = st.builds(
    lambda name, number, message, args, extra: logging.makeLogRecord(
        {**extra, "name": name, "levelno": number, "levelname": "L", "msg": message, "args": args, "created": AT}
    ),
    texts, st.integers(0, 60), texts, st.lists(texts | st.integers()).map(tuple),
    st.dictionaries(texts, texts | st.integers() | st.none()),
)  # fmt: skip


class Tty(io.StringIO):
    """A terminal, as far as anybody asks."""

    def isatty(self) -> bool:
        return True


def record(message: str, *args: object, level: int = logging.INFO, name: str = "shop", **extra: Any) -> Any:
    """Returns a record of a fixed time."""
    facts = {"name": name, "levelno": level, "levelname": logging.getLevelName(level), "msg": message, "args": args}
    return logging.makeLogRecord({**facts, "created": AT, **extra})


def as_json(record: logging.LogRecord) -> str:
    return json_of(entry_of(record))


def as_text(record: logging.LogRecord, *, colours: bool = False) -> str:
    return text_of(entry_of(record), colours=colours)


def failed() -> Any:
    """Returns what a record says of an exception."""
    try:
        raise ValueError("no\x1b[2J way")
    except ValueError:
        return sys.exc_info()


@pytest.fixture
def undone() -> Iterator[list[Log]]:
    """Collects what was set up, and undoes it."""
    logs: list[Log] = []
    yield logs
    for each in reversed(logs):
        each.close()


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "localtime", time.gmtime)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_text() -> None:
    """Time, level, logger, message and fields; the root logger has no name, further lines are indented."""
    assert as_text(record("sold %d", 3, sku="a b", count=3)) == '22:13:20.250 INFO  shop: sold 3 sku="a b" count=3'
    assert as_text(record("one\ntwo\n", name="root", level=logging.WARNING)) == "22:13:20.250 WARN  one\n    two"
    assert as_text(record("", level=logging.CRITICAL)) == "22:13:20.250 CRIT  shop:"
    assert as_text(record("x", level=25)).startswith("22:13:20.250 Level 25 shop: x")


def test_text_of_a_failure() -> None:
    """The traceback is below, indented; what went wrong stands out, and steers no terminal."""
    lines = as_text(record("lost", level=logging.ERROR, exc_info=failed()), colours=True).splitlines()
    plain = [COLOUR.sub("", line) for line in lines]
    assert plain[0] == "22:13:20.250 ERROR shop: lost"
    assert plain[1] == "    Traceback (most recent call last):"
    assert plain[-1] == "    ValueError: no\\x1b[2J way"
    assert lines[-1].startswith("    \x1b[31mValueError")
    assert lines[1].startswith("    \x1b[2mTraceback")


def test_text_of_prepared_records() -> None:
    """A traceback that somebody has made into text before is shown, and so is a stack."""
    text = as_text(record("x", exc_text="Traceback\nValueError: x", stack_info="Stack (most recent call last):"))
    assert text.splitlines()[1:] == ["    Traceback", "    ValueError: x", "    Stack (most recent call last):"]


def test_json() -> None:
    """The members have the access line's names; a field that has a name of ours is told apart."""
    found = json.loads(as_json(record("sold %d", 3, sku="a", logger="mine", exc_info=failed())))
    assert found.pop("stack").startswith("Traceback")
    assert found == {
        "ts": "2023-11-14T22:13:20.250000Z", "level": "INFO", "msg": "sold 3", "logger": "shop", "sku": "a",
        "fields.logger": "mine", "error": "ValueError: no\x1b[2J way",
    }  # fmt: skip
    assert "error" not in json.loads(as_json(record("x", exc_info=(None, None, None))))


def test_arguments_that_do_not_fit() -> None:
    """A message whose arguments do not fit it is a line all the same."""
    assert as_text(record("%d sold", "x")).endswith("shop: %d sold ('x',)")
    assert json.loads(as_json(record("%d sold", "x")))["msg"] == "%d sold ('x',)"


@settings(deadline=None)
@given(records)
def test_every_line_parses(record: logging.LogRecord) -> None:
    """Whatever is in a record, its JSON is one line of ASCII."""
    text = as_json(record)
    assert text.isascii()
    assert len(text.splitlines()) == 1
    assert json.loads(text)["logger"] == record.name


@settings(deadline=None)
@given(records)
def test_no_record_steers_a_terminal(record: logging.LogRecord) -> None:
    """Each line is printable, and none but the first begins in the first column."""
    lines = as_text(record).split("\n")
    assert all(line.isprintable() for line in lines)
    assert all(line.startswith("    ") for line in lines[1:])
    assert [COLOUR.sub("", line) for line in as_text(record, colours=True).split("\n")] == lines


def test_access_lines_have_the_same_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its colours a coloured line is the plain one; the code's colour is that of its class."""
    line = Line(AT, "server", "http", "/shop.v1.Orders/Get", 200, "", 0.0015, "10.0.0.7:52114", {"trace": "4b"})
    colours = {200: "32", 304: "36", 404: "33", 503: "31", 999: "31"}
    for code, colour in colours.items():
        coloured = as_console(line._replace(code=code), colours=True)
        assert f"\x1b[{colour}m{code}\x1b[0m" in coloured
        assert COLOUR.sub("", coloured) == as_console(line._replace(code=code))
    assert "\x1b[33m1500.0ms" in as_console(line._replace(latency=1.5), colours=True)


def test_access_records_are_not_told_twice() -> None:
    """The text of an access record has its fields already."""
    line = Line(AT, "server", "http", "/shop.v1.Orders/Get", 200, "", 0.0015, "", {"trace": "4b"})
    assert as_text(as_record(line)) == (
        "22:13:20.250 INFO  kratos.access: server http /shop.v1.Orders/Get 200 1.5ms trace=4b"
    )
    assert json.loads(as_json(as_record(line)))["trace"] == "4b"


@pytest.mark.parametrize(
    ("stream", "variable", "begins"),
    [(Tty, "", "\x1b[2m"), (Tty, "NO_COLOR", "22:"), (Tty, "TERM", "22:"), (io.StringIO, "", "{")],
)
def test_form(undone: list[Log], monkeypatch: pytest.MonkeyPatch, stream: Any, variable: str, begins: str) -> None:
    """A terminal gets colours, unless they are unwanted; everything else gets JSON."""
    if variable:
        monkeypatch.setenv(variable, "dumb")
    monkeypatch.setattr(time, "time", lambda: AT)
    written = stream()
    undone.append(setup(to=written))
    logging.getLogger("shop").handle(record("hello"))
    undone[0].flush()
    assert written.getvalue().startswith(begins)


def test_older_windows_consoles_have_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a console may show the codes, there are none."""
    from kratos.log import text

    assert text.coloured(Tty())
    monkeypatch.delenv("WT_SESSION", raising=False)
    with monkeypatch.context() as windows:
        windows.setattr(text.os, "name", "nt")
        assert not text.coloured(Tty())
        windows.setenv("WT_SESSION", "1")
        assert text.coloured(Tty())


def test_setup(undone: list[Log]) -> None:
    """Called again it replaces itself; undone, all is as it was, warnings included."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level, warnings.showwarning)
    first, second = io.StringIO(), io.StringIO()
    undone.append(setup(level="debug", to=first))
    logging.getLogger("shop").debug("one")
    undone.append(setup(level="WARNING", to=second))
    logging.getLogger("shop").info("two")
    logging.getLogger("shop").warning("three")
    assert all(log.flush() for log in undone)
    assert [json.loads(line)["msg"] for line in first.getvalue().splitlines()] == ["one"]
    assert [json.loads(line)["msg"] for line in second.getvalue().splitlines()] == ["three"]
    undone[0].close()  # the second call stands
    assert root.level == logging.WARNING
    undone[1].close()
    undone[1].close()
    assert (list(root.handlers), root.level, warnings.showwarning) == before


def test_warnings_are_logged(undone: list[Log]) -> None:
    """A warning is a record of the logger ``py.warnings``."""
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        undone.append(setup(to=stream))
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        undone.pop().close()
    found = json.loads(stream.getvalue())
    assert (found["level"], found["logger"]) == ("WARNING", "py.warnings")
    assert "DeprecationWarning: old" in found["msg"]


def test_wrong_level() -> None:
    """A level that is none is told, and nothing is changed."""
    root = logging.getLogger()
    before = list(root.handlers)
    with pytest.raises(ValueError, match="loud"):
        setup(level="loud")
    assert root.handlers == before


def test_a_stream_that_is_gone(undone: list[Log]) -> None:
    """Nobody is told that nobody can be told."""
    stream = io.StringIO()
    undone.append(setup(to=stream))
    stream.close()
    logging.getLogger("shop").warning("hello")
    undone[0].flush()
    assert undone[0].dropped == 1
