"""Single values as text, read and written."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from fixtures.gen.fixture.codec.v1.everything_pb import Everything, Lists, Maps, Optionals, WellKnown
from fixtures.gen.fixture.codec.v1.legacy_pb import Legacy
from hypothesis import given
from hypothesis import strategies as st
from protobuf.wkt import Duration, FieldMask, Timestamp
from strategies import SCALARS, messages_of

from kratos.codec import JsonCodec
from kratos.codec.formtext import key_reader, reader_of, writer_of
from kratos.codec.messages import Field, Message, assign, get, shape

JSON = JsonCodec()
KINDS = {field.kind: field for field in shape(Optionals).fields}


def read(field: Field, text: str) -> Any:
    reader = reader_of(field)
    assert reader is not None
    return reader(text)


def write(field: Field, value: Any) -> str:
    writer = writer_of(field)
    assert writer is not None
    return writer(value)


def known(name: str) -> Field:
    return shape(WellKnown).named[name]


def as_json(field: Field, value: Any) -> str:
    """Returns the value as it is in JSON, without the name of the field."""
    message = WellKnown()
    assign(message, field, value)
    return JSON.encode(message).decode().partition(f'"{field.json_name}":')[2].split(',"null"')[0].rstrip("}")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", "", ""),
        ("string", "a=b&c", "a=b&c"),
        ("bool", "true", True),
        ("bool", "F", False),
        ("bool", "1", True),
        ("int32", "-2147483648", -(2**31)),
        ("int32", "+7", 7),
        ("int64", "9223372036854775807", 2**63 - 1),
        ("uint32", "4294967295", 2**32 - 1),
        ("uint64", "18446744073709551615", 2**64 - 1),
        ("double", "1.5", 1.5),
        ("double", "-.5e3", -500.0),
        ("double", "Infinity", math.inf),
        ("double", "-Inf", -math.inf),
        ("float", "Infinity", math.inf),
        ("float", "0.1", 0.10000000149011612),
        ("bytes", "_-8=", b"\xff\xef"),
        ("bytes", "/+8=", b"\xff\xef"),
        ("bytes", "/ 8=", b"\xff\xef"),
        ("bytes", "/+8", b"\xff\xef"),
        ("bytes", "", b""),
    ],
)
def test_scalars(kind: Any, text: str, value: Any) -> None:
    """Every kind understands what Go, browsers and people write."""
    assert read(KINDS[kind], text) == value


def test_nan() -> None:
    """NaN is a number here."""
    assert math.isnan(read(KINDS["double"], "NaN"))
    assert math.isnan(read(KINDS["float"], "NaN"))


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("bool", "yes", "true or false"),
        ("int32", "2147483648", "out of range for int32"),
        ("uint32", "-1", "out of range for uint32"),
        ("int64", "1.0", "an integer"),
        ("int64", "", "an integer"),
        ("int64", "1_0", "an integer"),
        ("int64", "٣", "an integer"),
        ("int64", "1" * 21, "an integer"),
        ("double", "1,5", "a number"),
        ("double", "nan", "a number"),
        ("double", "1e999", "out of range for double"),
        ("float", "1e39", "out of range for float"),
        ("bytes", "a", "base64"),
        ("bytes", "a*b=", "base64"),
    ],
)
def test_scalars_refused(kind: Any, text: str, message: str) -> None:
    """What is no such value says what was expected."""
    with pytest.raises(ValueError, match=message):
        read(KINDS[kind], text)


def test_enums() -> None:
    """Enums are read by name, alias and number; an open enum keeps unknown numbers, a closed one does not."""
    field = KINDS["enum"]
    assert read(field, "COLOR_RED") == read(field, "1") == 1
    assert read(field, "12345") == 12345
    assert write(field, read(field, "12345")) == "12345"
    with pytest.raises(ValueError, match="expected one of COLOR_UNSPECIFIED, COLOR_RED"):
        read(field, "color_red")
    with pytest.raises(ValueError, match="out of range"):
        read(field, "99999999999")
    closed = next(field for field in shape(Legacy).fields if field.enum is not None and not field.enum.open)
    with pytest.raises(ValueError, match="expected one of"):
        read(closed, "12345")


@pytest.mark.parametrize("text", ["null", "NULL_VALUE", "0"])
def test_null_value(text: str) -> None:
    """The one value of NullValue has a name, a number and the word of JSON."""
    assert read(known("null"), text) == 0


@pytest.mark.parametrize("kind", sorted(KINDS.keys() & SCALARS.keys()))
@given(data=st.data())
def test_scalars_come_back(kind: Any, data: st.DataObject) -> None:
    """What is written is read again, for every value of every kind."""
    value = data.draw(SCALARS[kind])
    assert read(KINDS[kind], write(KINDS[kind], value)) == value


@given(messages_of(Optionals))
def test_enums_come_back(message: Optionals) -> None:
    """Enums go by name, numbers without one as numbers."""
    field = KINDS["enum"]
    assert read(field, write(field, message.a_color)) == message.a_color


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
        (known("mask"), FieldMask(paths=["user_id", "line_1", "a.b_c", "*"]), "user_id,line_1,a.b_c,*"),
        (known("mask"), FieldMask(), ""),
    ],
)
def test_texts(field: Field, value: Any, written: str) -> None:
    """The forms that Go Kratos reads, and we."""
    assert write(field, value) == written
    back = read(field, written)
    assert back == value or value != value


@pytest.mark.parametrize(
    ("name", "text", "written"),
    [
        ("time", "2023-11-14T22:13:20Z", '"2023-11-14T22:13:20Z"'),
        ("time", "2023-11-14T22:13:20.5+01:00", '"2023-11-14T21:13:20.500Z"'),
        ("time", "2023-11-14T22:13:20 01:00", '"2023-11-14T21:13:20Z"'),
        ("time", "2023-11-14T22:13:20.123456789-23:59", '"2023-11-15T22:12:20.123456789Z"'),
        ("time", "0001-01-01T00:00:00Z", '"0001-01-01T00:00:00Z"'),
        ("time", "9999-12-31T23:59:59.999999999Z", '"9999-12-31T23:59:59.999999999Z"'),
        ("span", "90s", '"90s"'),
        ("span", "1m30s", '"90s"'),
        ("span", "1h1m1.000000001s", '"3661.000000001s"'),
        ("span", "250ms", '"0.250s"'),
        ("span", "-1.5h", '"-5400s"'),
        ("span", "+2us", '"0.000002s"'),
        ("span", "2µs", '"0.000002s"'),
        ("span", "2μs", '"0.000002s"'),
        ("span", "7ns", '"0.000000007s"'),
        ("span", ".5s", '"0.500s"'),
        ("span", "1.s", '"1s"'),
        ("span", "0", '"0s"'),
        ("span", "-0s", '"0s"'),
        ("span", "315576000000s", '"315576000000s"'),
        ("span", "2562047h47m16.854775807s", '"9223372036.854775807s"'),
        ("mask", "userId,user_name", '"userId,userName"'),
        ("mask", "a.bC", '"a.bC"'),
        ("facts", '{"a":[1,null]}', '{"a":[1.0,null]}'),
        ("list", '["a",1]', '["a",1.0]'),
        ("nothing", "", "{}"),
        ("nothing", "{}", "{}"),
        ("bool_value", "0", "false"),
        ("int64_value", "-5", '"-5"'),
        ("string_value", "", '""'),
        ("bytes_value", "_w==", '"/w=="'),
        ("double_value", "NaN", '"NaN"'),
    ],
)
def test_well_known_types(name: str, text: str, written: str) -> None:
    """Well-known types are read as Go writes them and as JSON does."""
    field = known(name)
    assert as_json(field, read(field, text)) == written.rstrip("}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5.0), ('"5"', "5"), ("five", "five"), ("", ""), ("null", None), ("true", True), ("[1]", [1.0]),
        ("{", "{"), ("NaN", "NaN"), ("[" * 150, "[" * 150),
    ],
)  # fmt: skip
def test_values_are_json_or_text(text: str, value: Any) -> None:
    """A Value is what its text is in JSON, and text where it is none."""
    assert read(known("value"), text).to_json() == json.dumps(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        *(("time", text, "a time such as") for text in (
            "null", "", "2023-11-14", "2023-11-14T22:13:20", "2023-11-14t22:13:20z", "2023-13-14T22:13:20Z",
            "0000-12-31T23:59:59Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "1700000000",
            "2023-11-14T22:13:20.1234567891Z", "2023-11-14T22:13:60Z", "2023-11-14T24:00:00Z", "٢٠٢٣-11-14T22:13:20Z",
        )),
        *(("span", text, "a duration such as") for text in (
            "null", "", "5", "s", "-", "1", "1.5", "1d", "1m30", "1 s", ".s", "315576000001s", "0.1ns", "--1s",
            "1s-1s", "99999999999999999999h", "1e3s", "1.0000000001s", "1s" * 51,
        )),
        *(("mask", text, "a field mask such as") for text in (
            "a,,b", "a b", "a.", ".a", "1a", "a-b", ",", "a" + ",a" * 1000,
        )),
        *(("facts", text, "a JSON object") for text in ("", "[]", "null", "{", "a", '{"a":1}x', "[" * 300)),
        *(("list", text, "a JSON list") for text in ("", "{}", "1", "[1")),
        ("nothing", "{1}", "nothing or {}"),
        ("bool_value", "null", "true or false"),
        ("int32_value", "2147483648", "out of range for int32"),
            ],
)  # fmt: skip
def test_well_known_types_refused(name: str, text: str, message: str) -> None:
    """What is no such value is refused with an example of one; nothing crashes, whatever comes."""
    with pytest.raises(ValueError, match=message):
        read(known(name), text)


@given(st.text(max_size=30))
def test_nothing_crashes(text: str) -> None:
    """Any text is a value or a ValueError."""
    for field in (*shape(WellKnown).fields, *shape(Optionals).fields):
        reader = reader_of(field)
        if reader is None:
            continue
        with suppress(ValueError):
            reader(text)


def test_what_has_a_text() -> None:
    """Scalars, enums and the well-known types that are one value; lists and maps of those."""

    def without(type_: type[Message]) -> set[str]:
        return {field.name for field in shape(type_).fields if writer_of(field) is None}

    assert without(WellKnown) == {"value", "nothing", "any"}
    assert without(Lists) == {"items"}
    assert without(Maps) == {"items"}
    assert {field.name for field in shape(WellKnown).fields if reader_of(field) is None} == {"any"}
    assert reader_of(shape(Everything).named["tree"]) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (known("mask"), FieldMask(paths=["fooBar"])),
        (known("mask"), FieldMask(paths=["a,b"])),
        (known("time"), Timestamp(seconds=-(2**60))),
    ],
)
def test_what_cannot_be_written(field: Field, value: Any) -> None:
    """A value that would not come back is refused."""
    with pytest.raises(ValueError, match=r"."):
        write(field, value)


@given(messages_of(WellKnown, depth=1))
def test_well_known_types_come_back(message: WellKnown) -> None:
    """Whatever the well-known types hold is read as it was written."""
    for field in shape(WellKnown).fields:
        value = get(message, field)
        if value is not None and field.singular and writer_of(field) is not None:
            assert read(field, write(field, value)) == value


def test_keys() -> None:
    """Keys of maps are read as scalars of their kind."""
    fields = shape(Maps).named
    assert key_reader(fields["by_bool"])("true") is True
    assert key_reader(fields["by_int32"])("-1") == -1
    with pytest.raises(ValueError, match="out of range for uint32"):
        key_reader(fields["by_uint32"])("-1")
