"""Rules of ``buf.validate`` as JSON Schema, judged by protovalidate's own engine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_schema_validator import oas31_format_checker
from protobuf._codegen import file_desc
from protobuf.wkt import FileDescriptorProto
from protobuf.wkt.google.protobuf.descriptor_pb import (
    DescriptorProto,
    EnumDescriptorProto,
    EnumValueDescriptorProto,
    FieldDescriptorProto,
    FieldOptions,
    MessageOptions,
)
from strategies import messages_of

from kratos.codec.json import JsonCodec, JsonOptions
from kratos.codec.messages import Message
from kratos.openapi.schema import Schemas

protovalidate = pytest.importorskip("protovalidate")
from protovalidate._gen.buf.validate import validate_pb  # noqa: E402

Type, Label = FieldDescriptorProto.Type, FieldDescriptorProto.Label
KINDS = {"int32": Type.INT32, "int64": Type.INT64, "uint32": Type.UINT32, "double": Type.DOUBLE, "bool": Type.BOOL,
         "string": Type.STRING, "bytes": Type.BYTES, "enum": Type.ENUM}  # fmt: skip


def field(kind: str, rules: dict[str, Any], *, repeated: bool = False, type_name: str = "") -> FieldDescriptorProto:
    """Returns a field ``x`` with rules."""
    options = FieldOptions()
    options[validate_pb.ext_field] = validate_pb.FieldRules.from_json(json.dumps(rules))
    declared = FieldDescriptorProto(
        name="x",
        json_name="x",
        number=1,
        type=KINDS.get(kind, Type.MESSAGE),
        label=Label.REPEATED if repeated else Label.OPTIONAL,
        options=options,
    )
    if named := type_name or (".x.Color" if kind == "enum" else ""):
        declared.type_name = named
    return declared


def message(declared: FieldDescriptorProto, *nested: DescriptorProto) -> type[Message]:
    """Returns a message type with one field."""
    color = EnumDescriptorProto(
        name="Color",
        value=[
            EnumValueDescriptorProto(name=f"COLOR_{name}", number=at) for at, name in enumerate(("NO", "RED", "SEA"))
        ],
    )
    file = FileDescriptorProto(
        name="x.proto",
        package="x",
        syntax="proto3",
        dependency=["buf/validate/validate.proto"],
        enum_type=[color],
        message_type=[DescriptorProto(name="M", field=[declared], nested_type=[*nested])],
    )
    return file_desc(file.to_binary(), [validate_pb.desc()], {}).messages[0].type


def mapped(rules: dict[str, Any]) -> type[Message]:
    """Returns a message type with a map of strings to integers."""
    entry = DescriptorProto(
        name="XEntry",
        options=MessageOptions(map_entry=True),
        field=[
            FieldDescriptorProto(name="key", json_name="key", number=1, type=Type.STRING, label=Label.OPTIONAL),
            FieldDescriptorProto(name="value", json_name="value", number=2, type=Type.INT32, label=Label.OPTIONAL),
        ],
    )
    return message(field("map", rules, repeated=True, type_name=".x.M.XEntry"), entry)


def judge(type_: type[Message], **options: Any) -> Draft202012Validator:
    """Returns what the schema of a type accepts."""
    schemas = Schemas(**options)
    root = schemas.message(type_)
    schema = {**root, "components": {"schemas": schemas.components}}
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=oas31_format_checker)


def allowed(type_: type[Message], value: Any) -> bool:
    """Tells what protovalidate says of a value of ``x``."""
    read = JsonCodec().decode(json.dumps({"x": value}).encode(), type_)
    return not list(protovalidate.Validator().collect_violations(read))


SINGLE: list[tuple[str, dict[str, Any], list[Any], list[Any]]] = [
    ("int32", {"int32": {"gt": 1, "lte": 5}}, [2, 5], [1, 6]),
    ("int32", {"int32": {"gte": 1, "lt": 5}}, [1, 4], [0, 5]),
    ("int32", {"int32": {"in": [1, 2]}}, [1], [3]),
    ("int32", {"int32": {"notIn": [1, 2]}}, [3], [1]),
    ("int32", {"int32": {"const": 7}}, [7], [8]),
    ("int32", {"int32": {"gte": 5, "lte": 5}}, [5], [4, 6]),
    ("uint32", {"uint32": {"lt": 5}}, [4], [5]),
    ("int64", {"int64": {"in": ["1", "2"]}}, ["1"], ["3"]),
    ("int64", {"int64": {"const": "9"}}, ["9"], ["8"]),
    ("double", {"double": {"gt": 0.5}}, [0.6], [0.5]),
    ("double", {"double": {"finite": True}}, [1.5], []),
    ("bool", {"bool": {"const": True}}, [True], [False]),
    ("string", {"string": {"minLen": "2", "maxLen": "3"}}, ["ab", "äöü"], ["a", "abcd"]),
    ("string", {"string": {"len": "2"}}, ["ab"], ["a", "abc"]),
    ("string", {"string": {"pattern": "^[a-z]+$"}}, ["ab"], ["A", ""]),
    ("string", {"string": {"prefix": "a.b"}}, ["a.bc"], ["axb"]),
    ("string", {"string": {"suffix": "$"}}, ["a$"], ["a"]),
    ("string", {"string": {"contains": "(x)"}}, ["a(x)b"], ["x"]),
    ("string", {"string": {"prefix": "a", "suffix": "b"}}, ["ab", "acb"], ["a", "b"]),
    ("string", {"string": {"in": ["a", "b"]}}, ["a"], ["c"]),
    ("string", {"string": {"email": True}}, ["a@b.example"], ["a"]),
    ("string", {"string": {"ipv4": True}}, ["10.0.0.1"], ["10.0.0"]),
    ("string", {"string": {"uuid": True}}, ["b2f7a2f0-6d6a-4a63-9d3b-1f0a4c1b8e11"], ["b2f7"]),
    ("bytes", {"bytes": {"minLen": "4"}}, ["AAECAwQ=", "AAECAw=="], ["AAE="]),
    ("enum", {"enum": {"in": [1, 2]}}, ["COLOR_RED"], ["COLOR_NO"]),
    ("enum", {"enum": {"notIn": [0]}}, ["COLOR_RED"], ["COLOR_NO"]),
    ("enum", {"enum": {"const": 2}}, ["COLOR_SEA"], ["COLOR_RED"]),
    ("string", {"string": {"minLen": "2"}, "ignore": "IGNORE_IF_ZERO_VALUE"}, ["", "ab"], ["a"]),
    ("enum", {"enum": {"in": [1]}, "ignore": "IGNORE_IF_ZERO_VALUE"}, ["COLOR_NO", "COLOR_RED"], ["COLOR_SEA"]),
    ("string", {"string": {"minLen": "2"}, "ignore": "IGNORE_ALWAYS"}, ["", "a"], []),
]


@pytest.mark.parametrize(("kind", "rules", "good", "bad"), SINGLE)
def test_single_values(kind: str, rules: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    """Schema and engine agree, on what they take and on what they refuse."""
    type_ = message(field(kind, rules))
    schema = judge(type_)
    assert [allowed(type_, value) for value in good + bad] == [True] * len(good) + [False] * len(bad)
    assert [schema.is_valid({"x": value}) for value in good + bad] == [True] * len(good) + [False] * len(bad)


def test_lists() -> None:
    """A list has rules of its own and for its elements."""
    rules = {"repeated": {"minItems": "1", "maxItems": "2", "unique": True, "items": {"string": {"minLen": "2"}}}}
    type_ = message(field("string", rules, repeated=True))
    schema = judge(type_)
    for value, good in (
        (["ab"], True),
        ([], False),
        (["ab", "ab"], False),
        (["a"], False),
        (["ab", "cd", "ef"], False),
    ):
        assert allowed(type_, value) is schema.is_valid({"x": value}) is good
    free = {"repeated": {"items": {"string": {"minLen": "2"}, "ignore": "IGNORE_ALWAYS"}}}
    assert judge(message(field("string", free, repeated=True))).is_valid({"x": ["a"]})
    zero = {"repeated": {"minItems": "2"}, "ignore": "IGNORE_IF_ZERO_VALUE"}
    loose = judge(message(field("string", zero, repeated=True)))
    assert [loose.is_valid({"x": value}) for value in ([], ["a"], ["a", "b"])] == [True, False, True]


def test_maps() -> None:
    """A map has rules of its own, for its keys and for its values."""
    rules = {"map": {"minPairs": "1", "keys": {"string": {"minLen": "2"}}, "values": {"int32": {"gt": 0}}}}
    type_ = mapped(rules)
    schema = judge(type_)
    for value, good in (({"ab": 1}, True), ({}, False), ({"a": 1}, False), ({"ab": 0}, False)):
        assert allowed(type_, value) is schema.is_valid({"x": value}) is good
    loose = judge(mapped({"map": {"maxPairs": "1"}, "ignore": "IGNORE_IF_ZERO_VALUE"}))
    assert [loose.is_valid({"x": value}) for value in ({}, {"a": 1}, {"a": 1, "b": 2})] == [True, True, False]


def test_required() -> None:
    """What has to be there is required."""
    type_ = message(field("string", {"required": True}))
    assert not judge(type_).is_valid({})
    assert judge(type_).is_valid({"x": "a"})


def test_exact_numbers() -> None:
    """Infinity stays a text unless the rules exclude it."""
    bound = judge(message(field("double", {"double": {"gt": 0}})), exact=True)
    assert [bound.is_valid({"x": value}) for value in (1, 0, "Infinity")] == [True, False, True]
    finite = judge(message(field("double", {"double": {"finite": True}})), exact=True)
    assert [finite.is_valid({"x": value}) for value in (1, "Infinity")] == [True, False]


def test_enums_as_numbers() -> None:
    """Where enums are numbers, so are the rules."""
    schema = judge(message(field("enum", {"enum": {"in": [1]}})), options=JsonOptions(enums="number"))
    assert [schema.is_valid({"x": value}) for value in (1, 2)] == [True, False]


WORDS = [
    ("int64", {"int64": {"gt": "0", "lte": "100"}}, "Must be more than 0 and at most 100."),
    ("int64", {"int64": {"gte": "10", "lt": "1"}}, "Must be at least 10 or less than 1."),
    ("string", {"cel": [{"id": "a", "message": "has to be Odd", "expression": "true"}]}, "Has to be Odd."),
    ("int64", {"int64": {"gt": "0"}, "ignore": "IGNORE_ALWAYS"}, ""),
    ("string", {"string": {"minLen": "1"}}, ""),
]


@pytest.mark.parametrize(("kind", "rules", "text"), WORDS)
def test_words(kind: str, rules: dict[str, Any], text: str) -> None:
    """What no keyword says is said in words."""
    schemas = Schemas()
    schemas.message(message(field(kind, rules)))
    assert schemas.components["x.M"]["properties"]["x"].get("description", "") == text


def test_bounds_that_exclude_a_range() -> None:
    """A lower bound above the upper one means "outside": there is no word for it, so nothing is said."""
    assert judge(message(field("int32", {"int32": {"gt": 5, "lt": 1}}))).is_valid({"x": 3})


FREE = [message(field(kind, rules)) for kind, rules, _, _ in SINGLE]
SCHEMAS = {type_: judge(type_, exact=True) for type_ in FREE}


@given(data=st.data())
def test_never_stricter_than_the_engine(data: st.DataObject) -> None:
    """Whatever the engine allows, the schema allows."""
    type_ = data.draw(st.sampled_from(range(len(FREE))).map(FREE.__getitem__))
    drawn = data.draw(messages_of(type_))
    if not list(protovalidate.Validator().collect_violations(drawn)):
        assert SCHEMAS[type_].is_valid(json.loads(JsonCodec().encode(drawn)))
