"""Field values to text, and back through the server's reading."""

from __future__ import annotations

import math
from typing import Any

import pytest
from fixtures.gen.fixture.codec.v1.everything_pb import Everything, Lists, Maps, Optionals, WellKnown
from hypothesis import given
from hypothesis import strategies as st
from protobuf.wkt import Duration, Timestamp, Value
from strategies import SCALARS, messages_of

from kratos.codec.messages import Field, get, shape
from kratos.transport.http.scalar import parse
from kratos.transport.http.text import has_text, text

KINDS = {field.kind: field for field in shape(Optionals).fields}


def known(name: str) -> Field:
    return shape(WellKnown).named[name]


@pytest.mark.parametrize("kind", sorted(KINDS.keys() & SCALARS.keys()))
@given(data=st.data())
def test_scalars_come_back(kind: str, data: st.DataObject) -> None:
    """The server reads what the client writes, for every value of every kind."""
    value = data.draw(SCALARS[kind])  # type: ignore[index]
    assert parse(KINDS[kind], text(KINDS[kind], value)) == value  # type: ignore[index]


@given(messages_of(Optionals))
def test_enums_come_back(message: Optionals) -> None:
    """Enums go by name, numbers without one as numbers."""
    field = KINDS["enum"]
    assert parse(field, text(field, message.a_color)) == message.a_color


@pytest.mark.parametrize(
    ("field", "value", "written"),
    [
        (KINDS["double"], math.nan, "NaN"),
        (KINDS["double"], -math.inf, "-Infinity"),
        (KINDS["double"], 1e21, "1e+21"),
        (KINDS["bool"], False, "false"),
        (KINDS["bytes"], b"\xff\xef", "/+8="),
        (known("time"), Timestamp(seconds=20, nanos=2), "1970-01-01T00:00:20.000000002Z"),
        (known("span"), Duration(seconds=120, nanos=22), "120.000000022s"),
        (known("span"), Duration(seconds=-1, nanos=-500_000_000), "-1.5s"),
        (known("span"), Duration(), "0s"),
    ],
)
def test_texts(field: Field, value: Any, written: str) -> None:
    """The forms that Go Kratos reads."""
    assert text(field, value) == written


def test_what_has_text() -> None:
    """Scalars, enums and the well-known types that are one value; lists and maps of those."""
    without = {field.name for field in shape(WellKnown).fields if not has_text(field)}
    assert without == {"value", "list", "nothing", "any", "values"}
    assert {field.name for field in shape(Lists).fields if not has_text(field)} == {"items"}
    assert {field.name for field in shape(Maps).fields if not has_text(field)} == {"items", "values"}
    assert not has_text(shape(Everything).named["tree"])
    with pytest.raises(TypeError, match="value holds google.protobuf.Value, which cannot be written as text"):
        text(known("value"), Value())


@given(messages_of(WellKnown, depth=1))
def test_well_known_types_are_written(message: WellKnown) -> None:
    """Whatever the well-known types hold has a text, without a line break or a quote around it."""
    for field in shape(WellKnown).fields:
        value = get(message, field)
        if value is not None and field.singular and has_text(field):
            written = text(field, value)
            assert not written.startswith('"')
