"""Schemas of messages: what they say, and that the bytes of the codec are what they say."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from fixtures.gen.catalog.v1.book_pb import Book, GrantRequest
from fixtures.gen.catalog.v1.catalog_pb import FilterRequest, Node
from fixtures.gen.fixture.codec.v1.everything_pb import (
    Choice,
    Color,
    Everything,
    Keywords,
    Lists,
    Maps,
    Optionals,
    Scalars,
    Tree,
    WellKnown,
)
from fixtures.gen.fixture.codec.v1.legacy_pb import Legacy
from fixtures.gen.fixture.codec.v1.modern_pb import Modern
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_schema_validator import oas31_format_checker
from strategies import messages_of

from kratos.codec.json import JsonCodec, JsonOptions
from kratos.codec.messages import Message, shape
from kratos.errors import BadRequest
from kratos.openapi.schema import Schemas

TYPES = [
    Book, Choice, Everything, FilterRequest, GrantRequest, Keywords, Legacy, Lists, Maps, Modern, Node, Optionals,
    Scalars, Tree, WellKnown,
]  # fmt: skip
OPTIONS = [
    JsonOptions(),
    JsonOptions(names="proto", enums="number"),
    JsonOptions(zero_values=False, unknown="reject"),
]


def validator(type_: type[Message], options: JsonOptions, *, exact: bool = True) -> Draft202012Validator:
    """Returns what judges the JSON of a message."""
    schemas = Schemas(options, exact=exact)
    root = schemas.message(type_)
    schema = {**root, "components": {"schemas": schemas.components}}
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=oas31_format_checker)


EXACT = {(type_, options): validator(type_, options) for type_ in TYPES for options in OPTIONS}
PLAIN = {type_: validator(type_, JsonOptions(), exact=False) for type_ in TYPES}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("type_", TYPES)
@settings(max_examples=10)
@given(data=st.data())
def test_what_the_codec_writes_is_valid(type_: type[Message], options: JsonOptions, data: st.DataObject) -> None:
    """Whatever a message holds, its JSON is what the exact schema says; only what the contract demands may lack."""
    value = json.loads(JsonCodec(options).encode(data.draw(messages_of(type_))))
    found = [error for error in EXACT[type_, options].iter_errors(value) if error.validator != "required"]
    assert not found


@pytest.mark.parametrize("type_", TYPES)
@settings(max_examples=10)
@given(data=st.data())
def test_plain_schemas_are_of_usual_values(type_: type[Message], data: st.DataObject) -> None:
    """Without exactness the only values left out are infinities and numbers without a name."""
    value = json.loads(JsonCodec().encode(data.draw(messages_of(type_))))
    for error in PLAIN[type_].iter_errors(value):
        assert error.validator in ("required", "type", "enum")
        if error.validator != "required":
            assert error.instance in ("Infinity", "-Infinity", "NaN") or isinstance(error.instance, int)


REFUSED: list[tuple[type[Message], Any]] = [
    (Scalars, []),
    (Scalars, {"aBool": 1}),
    (Scalars, {"anInt32": 2**31}),
    (Scalars, {"aUint32": -1}),
    (Scalars, {"anInt64": "x"}),
    (Scalars, {"aUint64": "-1"}),
    (Scalars, {"aDouble": "much"}),
    (Scalars, {"aString": 1}),
    (Scalars, {"aBytes": "?"}),
    (Scalars, {"aColor": "COLOR_PURPLE"}),
    (Lists, {"strings": "one"}),
    (Lists, {"int32s": [1, "x"]}),
    (Maps, {"byInt32": {"x": "1"}}),
    (Maps, {"byBool": {"yes": "1"}}),
    (Maps, {"numbers": []}),
    (Choice, {"aText": "a", "aNumber": "1"}),
    (Choice, {"aColor": "COLOR_RED", "anItem": {}}),
    (Tree, {"left": {"children": [{"name": 1}]}}),
    (WellKnown, {"time": "yesterday"}),
    (WellKnown, {"span": "1"}),
    (WellKnown, {"mask": 1}),
    (WellKnown, {"facts": []}),
    (WellKnown, {"list": {}}),
    (WellKnown, {"boolValue": "yes"}),
    (WellKnown, {"int64Value": {}}),
]


@pytest.mark.parametrize(("type_", "value"), REFUSED)
def test_what_the_schema_refuses_the_codec_refuses(type_: type[Message], value: Any) -> None:
    """A schema promises nothing that the server does not keep."""
    assert not EXACT[type_, OPTIONS[0]].is_valid(value)
    with pytest.raises(BadRequest):
        JsonCodec().decode(json.dumps(value).encode(), type_)


def test_required_is_demanded() -> None:
    """What the contract calls required has to be there."""
    assert not PLAIN[Book].is_valid({"id": "a"})
    assert PLAIN[Book].is_valid({"id": "a", "title": "b"})
    assert not PLAIN[Legacy].is_valid({})


def test_required_zeros_that_are_not_written_are_not_demanded() -> None:
    """Where zeros are left out, an empty title is no breach."""
    schemas = Schemas(JsonOptions(zero_values=False))
    assert schemas.requires(Book) == []
    assert schemas.requires(Legacy) == ["id"]


def test_unknown_keys() -> None:
    """Where they are refused, the schema says so."""
    assert EXACT[Tree, OPTIONS[0]].is_valid({"nobody": 1})
    assert not EXACT[Tree, OPTIONS[2]].is_valid({"nobody": 1})


def properties(type_: type[Message], **options: Any) -> Mapping[str, Any]:
    """Returns the properties of a message's component."""
    schemas = Schemas(**options)
    schemas.message(type_)
    found: Mapping[str, Any] = schemas.components[shape(type_).name]["properties"]
    return found


def test_behaviour() -> None:
    """Options of fields become words of JSON Schema, or a sentence."""
    found = properties(Book)
    assert found["added"]["readOnly"] is True
    assert found["secret"]["writeOnly"] is True
    assert found["id"]["description"] == "Chosen by the caller.\n\nCannot be changed once it is set."
    assert "writeOnly" not in properties(Book, exact=True)["secret"]


def test_defaults_of_proto2() -> None:
    """Defaults that the contract chose are there, in the form of JSON."""
    found = properties(Legacy)
    assert found["grade"]["default"] == "GRADE_B"
    assert found["retries"]["default"] == 3
    assert "default" not in found["id"]
    assert properties(Legacy, options=JsonOptions(enums="number"))["grade"]["default"] == 2


def test_enums() -> None:
    """Names, with aliases, and their comments; or numbers, with names beside them."""
    schemas = Schemas()
    mood = shape(shape(Everything).named["inner"].message or Everything).named["mood"].enum
    assert mood is not None
    assert schemas.enum(mood) == {"$ref": "#/components/schemas/fixture.codec.v1.Mood"}
    listed = schemas.components["fixture.codec.v1.Mood"]["enum"]
    assert listed == ["MOOD_UNSPECIFIED", "MOOD_GLAD", "MOOD_HAPPY", "MOOD_SAD"]
    numbers = Schemas(JsonOptions(enums="number"))
    numbers.enum(mood)
    found = numbers.components["fixture.codec.v1.Mood"]
    assert found["enum"] == [0, 1, -1]
    assert found["x-enum-varnames"] == ["MOOD_UNSPECIFIED", "MOOD_GLAD", "MOOD_SAD"]


def test_exactness_of_enums() -> None:
    """An open enum may hold numbers without a name, as numbers; a closed one may not."""
    exact = EXACT[Scalars, OPTIONS[0]]
    assert exact.is_valid({"aColor": 77})
    assert not exact.is_valid({"aColor": 2**31})
    assert not PLAIN[Scalars].is_valid({"aColor": 77})
    assert json.loads(JsonCodec().encode(Scalars(a_color=Color(77))))["aColor"] == 77
    assert not EXACT[Legacy, OPTIONS[0]].is_valid({"id": "a", "grade": 77})


def test_exactness_of_floats() -> None:
    """Infinity is a text in JSON."""
    value = json.loads(JsonCodec().encode(Scalars(a_double=math.inf)))
    assert value["aDouble"] == "Infinity"
    assert EXACT[Scalars, OPTIONS[0]].is_valid(value)
    assert not PLAIN[Scalars].is_valid(value)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("type_", [Book, Choice, Everything, FilterRequest, Keywords, Legacy, Modern])
def test_examples_are_good(type_: type[Message], options: JsonOptions) -> None:
    """Where a message brings an example, schema and codec both take it."""
    schemas = Schemas(options, exact=True)
    schemas.message(type_)
    found = [(name, schema) for name, schema in schemas.components.items() if "examples" in schema]
    assert found
    for name, schema in found:
        judge = Draft202012Validator({**schema, "components": {"schemas": schemas.components}})
        for example in schema["examples"]:
            assert not list(judge.iter_errors(example)), name
            if name == shape(type_).name:
                JsonCodec(JsonOptions(unknown="reject")).decode(json.dumps(example).encode(), type_)


def test_without_and_partial() -> None:
    """A message without some fields, or with none that has to be there, is a component of its own."""
    schemas = Schemas()
    assert schemas.message(Book, without={"id"})["$ref"].endswith("/catalog.v1.Book.without_id")
    assert schemas.message(Book, partial=True)["$ref"].endswith("/catalog.v1.Book.partial")
    assert schemas.message(Tree, partial=True)["$ref"].endswith("/fixture.codec.v1.Tree")
    found = schemas.components
    assert "id" not in found["catalog.v1.Book.without_id"]["properties"]
    assert found["catalog.v1.Book.without_id"]["required"] == ["title"]
    assert "required" not in found["catalog.v1.Book.partial"]
