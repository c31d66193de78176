"""Values as JSON, whatever they are."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.log.json import members, quoted, value


class Shy:
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        ("a\nb", "a\nb"),
        (3, 3),
        (True, True),
        (None, None),
        ([1, {"a": "ü"}], [1, {"a": "ü"}]),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (float("nan"), "nan"),
        ([float("inf")], "[inf]"),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        (Shy(), "<Shy that cannot be shown>"),
    ],
)
def test_value(thing: Any, expected: Any) -> None:
    """JSON where there is a form for it, text where there is none."""
    assert json.loads(value(thing)) == expected


def test_a_cycle_is_text() -> None:
    """A list that holds itself ends."""
    cycle: list[Any] = []
    cycle.append(cycle)
    assert json.loads(value(cycle)) == "[[...]]"


@given(st.text())
def test_quoted_is_one_ascii_line(text: str) -> None:
    """Any text, lone surrogates and line separators among it, is one line of ASCII and comes back."""
    line = quoted(text)
    assert line.isascii()
    assert line.isprintable() or "\x7f" in line
    assert json.loads(line) == text


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.floats() | st.text(), st.lists, max_leaves=10)))
def test_members(fields: dict[str, Any]) -> None:
    """Any fields are members of an object that parses, and none has a name that is taken."""
    taken = {"a", "code"}
    found = json.loads("{" + members({**fields, "code": 1}, taken)[1:] + "}")
    assert not taken & found.keys()
    assert found["fields.code"] == 1
    assert len(found) <= len(fields) + 1
