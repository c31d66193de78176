"""Binding messages, by way of protobuf JSON."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import math
from typing import Any

import pytest
from fixtures.gen.fixture.codec.v1.everything_pb import (
    Choice,
    Keywords,
    Lists,
    Maps,
    Optionals,
    Scalars,
    Tree,
    WellKnown,
)
from fixtures.gen.fixture.codec.v1.legacy_pb import Legacy
from fixtures.gen.fixture.secret.v1.secret_pb import OpenRequest
from hypothesis import given, settings
from protobuf.wkt import Struct
from strategies import messages_of

from kratos.codec.messages import Message
from kratos.config import Config, ConfigError, Env, Values
from kratos.config.base import Layer, Place, node
from kratos.config.document import read


def of(values: Any) -> Config:
    return Config([Layer(node({"x": values}, Place("program")))])


def literal(value: Any) -> Any:
    """Returns a value whose texts hold no placeholders."""
    if isinstance(value, dict):
        return {key: literal(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [literal(inner) for inner in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


def bound(type_: type[Any], values: Any) -> Any:
    return json.loads(of(values).get(type_, "x").to_json())


def refused(type_: type[Any], values: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        of(values).get(type_, "x")
    return [str(problem).removeprefix("program: ") for problem in caught.value.problems]


def test_scalars_from_text() -> None:
    """What the environment says is text, and becomes what the field holds."""
    values = {
        "a_bool": "t", "an_int32": "-5", "a_uint64": "18446744073709551615", "a_float": "1.5", "aDouble": "-.inf",
        "a_string": 7, "aBytes": "aGk=", "a_color": "color_red", "a_sint64": 5.0,
    }  # fmt: skip
    found = of(values).get(Scalars, "x")
    assert (found.a_bool, found.an_int32, found.a_uint64, found.a_sint64) == (True, -5, 2**64 - 1, 5)
    assert (found.a_float, found.a_double, found.a_string, found.a_bytes) == (1.5, -math.inf, "7", b"hi")
    assert found.a_color.name.endswith("RED")
    assert math.isnan(of({"a_double": ".nan"}).get(Scalars, "x").a_double)
    assert of({"a_double": "inf"}).get(Scalars, "x").a_double == math.inf


def test_enums() -> None:
    """By name, by number, by a number in text; an open enum takes any number of its range."""
    for value, expected in [("COLOR_BLUE", "COLOR_BLUE"), (2, "COLOR_GREEN"), ("2", "COLOR_GREEN"), (77, 77)]:
        assert bound(Scalars, {"a_color": value})["aColor"] == expected
    choices = "COLOR_UNSPECIFIED, COLOR_RED, COLOR_GREEN, COLOR_BLUE"
    assert refused(Scalars, {"a_color": "PINK"}) == [f"x.a_color: 'PINK' is none of {choices}"]
    assert refused(Scalars, {"a_color": 2**31}) == [f"x.a_color: {2**31} is none of {choices}"]
    assert "is none of" in refused(Legacy, {"id": "a", "grade": 77})[0]


@pytest.mark.parametrize(
    ("type_", "values", "said"),
    [
        (Scalars, {"an_int32": 2**31}, f"x.an_int32: {2**31} is not from {-(2**31)} to {2**31 - 1}"),
        (Scalars, {"a_uint32": -1}, f"x.a_uint32: -1 is not from 0 to {2**32 - 1}"),
        (Scalars, {"a_float": 1e39}, "x.a_float: 1e+39 is too large for a float"),
        (Scalars, {"a_bool": "yes"}, "x.a_bool: 'yes' is neither true nor false"),
        (Scalars, {"a_string": ["a"]}, "x.a_string: a list is not text"),
        (Scalars, {"a_strin": "a"}, "x.a_strin: no such key; did you mean aString?"),
        (Scalars, {"a_string": "a", "aString": "b"}, "x.aString: the same as a_string, which is set in program"),
        (Scalars, 5, "x: 5 is not a mapping"),
        (Lists, {"int32s": [1, "x", None]}, "x.int32s[1]: 'x' is not a whole number"),
        (Lists, {"int32s": [None]}, "x.int32s[0]: there has to be a value"),
        (Lists, {"items": 5}, "x.items: 5 is not a list"),
        (Lists, {"items": [{"sku": []}]}, "x.items[0].sku: a list is not text"),
        (Maps, {"by_int32": {"a": 1}}, "x.by_int32.a: 'a' is not a whole number"),
        (Maps, {"by_int32": {str(2**31): 1}}, "is not from"),
        (Maps, {"by_bool": {"maybe": "a"}}, "x.by_bool.maybe: 'maybe' is not a key: true or false"),
        (Maps, {"items": [1]}, "x.items: a list is not a mapping"),
        (Maps, {"numbers": {"a.b": "x"}}, "x.numbers.\"a.b\": 'x' is not a whole number"),
        (Choice, {"a_text": "a", "a_number": 1}, "x.a_number: only one of a_text and a_number may be set"),
        (WellKnown, {"span": "1x"}, "x.span: '1x' is not a duration (1s, 250ms, 1m30s)"),
        (WellKnown, {"time": "noon"}, "x.time: 'noon' is not a time (2026-01-31T12:00:00Z)"),
        (WellKnown, {"time": []}, "x.time: a list is not text"),
        (WellKnown, {"mask": "a_b"}, "x.mask: 'a_b' is not a field mask (name,createTime)"),
        (WellKnown, {"int32_value": "x"}, "x.int32_value: 'x' is not a whole number"),
        (WellKnown, {"facts": 5}, "x.facts: 5 is not a mapping"),
        (WellKnown, {"facts": {"a": math.nan}}, "x.facts: a mapping is no google.protobuf.Struct"),
        (WellKnown, {"list": 5}, "x.list: 5 is not a list"),
        (WellKnown, {"any": {"@type": "x/y.Z"}}, "x.any: a mapping is no google.protobuf.Any"),
        (WellKnown, {"value": math.inf}, "x: a mapping is no fixture.codec.v1.WellKnown"),
        (Legacy, {}, "x.id: missing"),
    ],
)
def test_what_is_refused(type_: type[Message], values: Any, said: str) -> None:
    """Each refusal names key, value and what was expected."""
    assert said in refused(type_, values)[0]


def test_well_known_types() -> None:
    """Each in its own form, and some in forms that people write."""
    moment = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
    values = {
        "span": "-1m30.5s", "time": moment, "mask": "name,createTime", "facts": {"a": [1, {"b": None}], "d": moment},
        "value": "5", "list": '[1, "a"]', "nothing": {}, "bool_value": "T", "int64_value": "7", "null": None,
        "bytes_value": "aGk=", "times": ["2026-01-31T12:00:00+01:00"], "values": [None, {"a": 1}], "any": {},
    }  # fmt: skip
    found = bound(WellKnown, values)
    assert found["span"] == "-90.500s"
    assert found["time"] == "2026-01-31T12:00:00Z"
    assert found["facts"] == {"a": [1.0, {"b": None}], "d": "2026-01-31T12:00:00+00:00"}
    assert (found["value"], found["list"], found["values"]) == ("5", [1.0, "a"], [None, {"a": 1.0}])
    assert (found["boolValue"], found["int64Value"], found["times"]) == (True, "7", ["2026-01-31T11:00:00Z"])
    assert bound(WellKnown, {"span": dt.timedelta(milliseconds=1500)})["span"] == "1.500s"
    assert bound(WellKnown, {"value": None})["value"] is None
    assert bound(Struct, {"a": "1"}) == {"a": "1"}


def test_null_is_unset() -> None:
    """A null unsets, except where it is a value."""
    assert of({"a_bool": None, "scalars": None}).get(Optionals, "x") == Optionals()
    found = of({"a_text": None, "a_number": 5}).get(Choice, "x")
    assert found == of({"a_number": "5"}).get(Choice, "x")
    assert bound(Choice, {"a_null": None}) == {"beside": "", "aNull": None} or bound(Choice, {"a_null": None})


def test_unknown_keys_may_be_ignored() -> None:
    """Unless they matter."""
    assert of({"name": "a", "other": {"a": 1}}).get(Tree, "x", unknown="ignore") == Tree(name="a")
    assert of({"from": "a", "None": "b"}).get(Keywords, "x").to_json()


def test_json_text_where_messages_are_wanted() -> None:
    """A variable may hold a message, a list of them, or a map."""
    found = of({"left": '{"name": "l"}', "children": '[{"name": "c"}]', "named": '{"a": {"name": "n"}}'}).get(Tree, "x")
    assert found == Tree(left=Tree(name="l"), children=[Tree(name="c")], named={"a": Tree(name="n")})
    assert refused(Tree, {"left": "{"})[0].startswith("x.left: the text is not JSON")


def test_places() -> None:
    """A problem within a message has the line it is written in."""
    text = b"server:\n  left:\n    name: [a]\n  children:\n  - name: a\n  - nme: b\n"
    config = Config([Layer(read(text, "yaml", "configs/config.yaml"))])
    with pytest.raises(ConfigError) as caught:
        config.get(Tree, "server")
    assert [str(problem) for problem in caught.value.problems] == [
        "configs/config.yaml:3: server.left.name: a list is not text",
        "configs/config.yaml:6: server.children[1].nme: no such key; did you mean name?",
    ]


@pytest.mark.parametrize("type_", [Scalars, Optionals, Lists, Maps, Choice, Tree])
def test_what_the_codec_writes_is_read(type_: type[Message]) -> None:
    """Any message, written as JSON, is the same message again."""

    @settings(deadline=None)
    @given(messages_of(type_))
    def holds(message: Message) -> None:
        assert of(literal(json.loads(message.to_json()))).get(type_, "x") == message

    holds()


def test_sensitive_fields() -> None:
    """What the proto calls sensitive is in no error and in no listing, however its key is spelled."""
    vault = {
        "pin": "s3cret", "card": {"holder": "eva", "number": "s3cret"}, "by-name": {"a": {"number": "s3cret"}},
        "hints": ["a", "s3cret"], "seeds": {"a": 7}, "code": 81472, "name": "front", "inner": {"pin": "s3cret"},
    }  # fmt: skip
    environ = {"X_THE__VAULT__CARDS": '[{"number": "s3cret", "holder": "eva"}]'}
    config = asyncio.run(Config.load(Values({"the": {"vault": vault}}), Env("X_", environ=environ)))
    assert config.get(OpenRequest, "the.Vault").inner.pin == "s3cret"
    shown = {entry.key: entry.value for entry in config.entries()}
    assert "s3cret" not in str(shown)
    assert "81472" not in str(shown)
    assert (shown["the.vault.name"], shown["the.vault.card.holder"]) == ("front", "eva")
    assert {shown[f"the.vault.{key}"] for key in ("pin", "hints[1]", "seeds.a", "card.number", "cards")} == {"***"}
    assert [entry.value for entry in config.entries("the.vault.hints[0]")] == ["***"]


@pytest.mark.parametrize(
    "vault",
    [
        {"code": "x81472"}, {"hints": 81472}, {"hints": [{"a": 81472}]}, {"pin": {"a": 81472}}, {"seeds": "81472"},
        {"seeds": {"a": "x81472"}}, {"card": {"number": [81472]}}, {"inner": {"code": [81472]}},
    ],
)  # fmt: skip
def test_sensitive_fields_that_are_wrong(vault: dict[str, Any]) -> None:
    """The place and what was expected are told, and not what was found there."""
    config = asyncio.run(Config.load(Values({"vault": vault})))
    with pytest.raises(ConfigError, match="vault") as failure:
        config.get(OpenRequest, "vault")
    assert "81472" not in str(failure.value)
