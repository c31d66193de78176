"""Requests that both directions send: every kind of binding, and every type that a query can hold."""

from __future__ import annotations

from typing import Any, Literal

from protobuf import Oneof
from protobuf.wkt import (
    BoolValue,
    BytesValue,
    DoubleValue,
    Duration,
    FieldMask,
    FloatValue,
    Int32Value,
    Int64Value,
    StringValue,
    Timestamp,
    UInt32Value,
    UInt64Value,
)

from interop.contract import Color, Leaf, Thing

# Bytes whose two base64 alphabets differ, and that need padding.
RAW = bytes([0xFB, 0xEF, 0xFF, 0xFE, 0x00])
WORDS = "a b&c=d+e/f?g#h%i;j,k é 中 😀"


def text(value: str) -> Oneof[Literal["text"], str]:
    """Returns the member of ``choice`` that is text; a type checker does not find its name by itself."""
    return Oneof("text", value)


QUERIES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "bool": {"a_bool": True},
    "int32": {"an_int32": -(2**31)},
    "int64": {"an_int64": -(2**63)},
    "uint32": {"a_uint32": 2**32 - 1},
    "uint64": {"a_uint64": 2**64 - 1},
    "sint32": {"a_sint32": -(2**31)},
    "sint64": {"a_sint64": 2**63 - 1},
    "fixed32": {"a_fixed32": 2**32 - 1},
    "fixed64": {"a_fixed64": 2**64 - 1},
    "sfixed32": {"a_sfixed32": -5},
    "sfixed64": {"a_sfixed64": -(2**53) - 1},
    "float": {"a_float": 1.5},
    "float-large": {"a_float": 2.0**100},
    "double": {"a_double": -1e21},
    "double-small": {"a_double": 5e-324},
    "double-infinite": {"a_double": float("-inf")},
    "bytes": {"a_bytes": RAW},
    "enum": {"a_color": Color.GREEN},
    "string": {"renamed": WORDS},
    "renamed": {"renamed": "x"},
    "strings": {"words": ["", "a", WORDS, "a"]},
    "numbers": {"numbers": [0, 3, -(2**63)]},
    "flags": {"flags": [True, False, True]},
    "colors": {"colors": [Color.UNSPECIFIED, Color.GREEN, Color.RED]},
    "blobs": {"blobs": [RAW, b"a"]},
    "doubles": {"doubles": [0.0, 1e-7, 2.5]},
    "map-string": {"labels": {"a": "1", "b c&d": WORDS}},
    "map-int32": {"by_number": {1: "one", -2: "minus two"}},
    "map-int64": {"counts": {"a": 2**60}},
    "map-bool": {"by_bool": {True: Color.RED, False: Color.GREEN}},
    "nested": {
        "leaf": Leaf(
            title="t", page_size=3, tags=["x", "y"], inner=Leaf(title="inner", color=Color.RED), color=Color.RED
        )
    },
    "timestamp": {"a_time": Timestamp(seconds=1700000000)},
    "timestamp-nanos": {"a_time": Timestamp(seconds=1700000000, nanos=120_000_001)},
    "timestamp-early": {"a_time": Timestamp(seconds=-62135596800)},
    "duration": {"a_duration": Duration(seconds=90)},
    "duration-nanos": {"a_duration": Duration(seconds=120, nanos=22)},
    "duration-negative": {"a_duration": Duration(seconds=-1, nanos=-500_000_000)},
    "mask": {"a_mask": FieldMask(paths=["name", "leaf.page_size"])},
    "BoolValue": {"bool_value": BoolValue(value=True)},
    "BoolValue-zero": {"bool_value": BoolValue(value=False)},
    "Int32Value": {"int32_value": Int32Value(value=-1)},
    "Int32Value-zero": {"int32_value": Int32Value(value=0)},
    "Int64Value": {"int64_value": Int64Value(value=-(2**60))},
    "UInt32Value": {"uint32_value": UInt32Value(value=2**32 - 1)},
    "UInt64Value": {"uint64_value": UInt64Value(value=2**64 - 1)},
    "FloatValue": {"float_value": FloatValue(value=0.25)},
    "DoubleValue": {"double_value": DoubleValue(value=1e100)},
    "StringValue": {"string_value": StringValue(value=WORDS)},
    "BytesValue": {"bytes_value": BytesValue(value=RAW)},
    "optional": {"maybe": "x"},
    "optional-number": {"maybe_number": 0},
    "optional-flag": {"maybe_flag": False},
    "optional-enum": {"maybe_color": Color.UNSPECIFIED},
    "oneof-text": {"choice": Oneof("text", "x")},
    "oneof-number": {"choice": Oneof("number", 0)},
    "oneof-message": {"choice": Oneof("other_leaf", Leaf(title="o"))},
    "several": {
        "an_int64": 7,
        "words": ["a", "b"],
        "labels": {"k": "v"},
        "leaf": Leaf(title="t"),
        "maybe": "m",
        "choice": Oneof("number", 5),
    },
}
"""What a query says, by what it shows."""

FULL = Thing(name="full", **{key: value for fields in QUERIES.values() for key, value in fields.items()})
"""All of it at once, for bodies."""

BINDINGS: dict[str, tuple[str, Thing]] = {
    "path": ("Get", Thing(name="a")),
    "path-strange": ("Get", Thing(name="a b+c&d=e;f,g:h@i$j!k'l(m)*é中😀~")),
    "path-and-query": ("Get", Thing(name="a", words=["x", "y"], leaf=Leaf(title="t"))),
    "query-only": ("List", Thing(name="a", an_int32=1)),
    "path-nested": ("Nest", Thing(leaf=Leaf(title="a", inner=Leaf(title="b", tags=["x"]), page_size=2))),
    "deep": ("Deep", Thing(name="a/b/c", an_int32=1)),
    "deep-one": ("Deep", Thing(name="a")),
    "segments": ("Shelf", Thing(name="shelves/1/books/a b", an_int32=1)),
    "verb": ("Close", Thing(name="shelves/1", words=["x"])),
    "verb-colon": ("Close", Thing(name="shelves/a:b")),
    "body": ("Create", Thing(name="a", an_int64=2**60, a_color=Color.RED)),
    "body-empty": ("Create", Thing()),
    "body-full": ("Create", FULL),
    "body-and-path": ("Replace", Thing(name="a", words=["x"])),
    "body-field": ("Update", Thing(name="a", leaf=Leaf(title="t", page_size=3), words=["x"])),
    "body-field-empty": ("Update", Thing(name="a", leaf=Leaf(), an_int32=3)),
    "delete": ("Delete", Thing(name="a", an_int32=3)),
    "delete-with-body": ("Purge", Thing(name="a", words=["x"])),
    "large": ("Create", Thing(name="a", words=[f"word {number}" for number in range(2000)])),
}
"""A method and its request, by the binding that they show; beside it, path and query."""
