"""What messages look like in JSON."""

from __future__ import annotations

import json

import pytest
from fixtures.gen.fixture.codec.v1.everything_pb import (
    Choice,
    Color,
    Item,
    Keywords,
    Lists,
    Optionals,
    Plain,
    Scalars,
    Tree,
    WellKnown,
)
from fixtures.gen.fixture.codec.v1.legacy_pb import Legacy
from protobuf import Message, Oneof, Registry
from protobuf.wkt import Any, Duration, FieldMask, NullValue, Timestamp, Value

from kratos.codec import JsonCodec, JsonOptions


def written(message: Message, options: JsonOptions | None = None) -> object:
    return json.loads(JsonCodec(options).encode(message))


def test_zero_values_are_kept() -> None:
    """By default every field without presence is written; 64-bit integers are strings, enums names."""
    assert written(Scalars()) == {
        "aBool": False, "anInt32": 0, "anInt64": "0", "aUint32": 0, "aUint64": "0", "aSint32": 0, "aSint64": "0",
        "aFixed32": 0, "aFixed64": "0", "aSfixed32": 0, "aSfixed64": "0", "aFloat": 0, "aDouble": 0, "aString": "",
        "aBytes": "", "aColor": "COLOR_UNSPECIFIED",
    }  # fmt: skip
    assert written(Tree()) == {"name": "", "children": [], "named": {}}


def test_what_is_unset_is_left_out() -> None:
    """Messages, optional fields and oneofs that are not set are never written, set ones always."""
    assert written(Optionals()) == {}
    assert written(Optionals(an_int32=0)) == {"anInt32": 0}
    assert written(Choice()) == {"beside": ""}
    assert written(Choice(target=Oneof("a_text", ""))) == {"aText": "", "beside": ""}


def test_options() -> None:
    """Zero values, names and enums can be had otherwise."""
    message = Item(sku="x", color=Color.RED)
    assert written(message, JsonOptions(zero_values=False)) == {"sku": "x", "color": "COLOR_RED"}
    assert written(message, JsonOptions(enums="number")) == {"sku": "x", "color": 1, "shades": []}
    assert written(Plain(page_size=1), JsonOptions(names="proto", zero_values=False)) == {"page_size": 1}
    assert JsonCodec(JsonOptions(enums="number")).options.enums == "number"
    assert JsonCodec().options == JsonOptions()


def test_compact_utf8() -> None:
    """The text is compact and UTF-8 without escapes that are not needed."""
    assert JsonCodec(JsonOptions(zero_values=False)).encode(Item(sku="größe")) == '{"sku":"größe"}'.encode()


def test_well_known_types() -> None:
    """Well-known types have their own forms."""
    message = WellKnown(
        time=Timestamp(seconds=1, nanos=5_000_000),
        span=Duration(seconds=1, nanos=500_000_000),
        mask=FieldMask(paths=["page_size", "name"]),
        value=Value(kind=Oneof("null_value", NullValue.NULL_VALUE)),
    )
    assert written(message, JsonOptions(zero_values=False)) == {
        "time": "1970-01-01T00:00:01.005Z", "span": "1.500s", "mask": "pageSize,name", "value": None,
    }  # fmt: skip


def test_special_numbers() -> None:
    """NaN and infinities are strings, unknown enum numbers are numbers."""
    message = Lists(doubles=[float("nan"), float("inf"), float("-inf")], colors=[Color.RED, Color(99)])
    assert written(message, JsonOptions(zero_values=False)) == {
        "doubles": ["NaN", "Infinity", "-Infinity"], "colors": ["COLOR_RED", 99],
    }  # fmt: skip


def test_chosen_names() -> None:
    """A name that the proto chooses for JSON is the one that is written."""
    assert written(Keywords(renamed="x", from_="y"), JsonOptions(zero_values=False)) == {"other-name": "x", "from": "y"}


def test_any() -> None:
    """An Any is written with what the registry knows."""
    message = WellKnown(any=Any.pack(Item(sku="x")))
    codec = JsonCodec(JsonOptions(zero_values=False), Registry(Item))
    assert json.loads(codec.encode(message)) == {"any": {"@type": message.any.type_url, "sku": "x"}}
    with pytest.raises(ValueError, match="not in the type registry"):
        JsonCodec().encode(message)


def test_what_cannot_be_written() -> None:
    """Wrong values and wrong types are a defect of the program: no BadRequest."""
    with pytest.raises(TypeError, match="not dict"):
        JsonCodec().encode({})
    with pytest.raises(OverflowError):
        JsonCodec().encode(Scalars(an_int32=2**31))
    with pytest.raises(ValueError, match="required"):
        JsonCodec().encode(Legacy())
