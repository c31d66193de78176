"""Numbers that no message can hold, or that JSON could not write back: refused in every encoding, with their place."""

from __future__ import annotations

import json
import math
from typing import Any

import msgpack
import pytest
from fixtures.gen.fixture.codec.v1.everything_pb import Color, Everything, Lists, Maps, Scalars, WellKnown
from fixtures.gen.fixture.codec.v1.legacy_pb import Legacy
from hypothesis import given, settings
from hypothesis import strategies as st
from protobuf import Message, Oneof, Registry
from protobuf.wkt import NullValue, Value

from kratos.codec import Codec, FormCodec, JsonCodec, ProtoCodec, XmlCodec, YamlCodec
from kratos.codec.diagnose import MAX_CHECKS
from kratos.codec.jsonwalk import may_exceed
from kratos.contrib.msgpack import MsgpackCodec
from kratos.errors import BadRequest

JSON = JsonCodec()
ANY = JsonCodec(registry=Registry(WellKnown, Scalars))
TYPED = "t/fixture.codec.v1."
DOUBLE = "a number within the range of double"
LARGE = "a number that is too large"


def refused(codec: Codec, body: bytes, into: type[Message]) -> BadRequest:
    with pytest.raises(BadRequest) as raised:
        codec.decode(body, into)
    assert raised.value.reason == "CODEC"
    return raised.value


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1, 2**63, 2**64, -(2**200)])
@pytest.mark.parametrize(
    ("body", "into", "path"),
    [
        ('{"aColor": %d}', Scalars, "aColor"),
        ('{"a_color":%d}', Scalars, "a_color"),
        ('{"new": 1, "aColor":\t%d}', Scalars, "aColor"),
        ('{"colors":[1,%d]}', Lists, "colors[1]"),
        ('{"colors":{"a":%d}}', Maps, 'colors["a"]'),
        ('{"null":%d}', WellKnown, "null"),
        ('{"lists":{"items":[{},{"shades":[0,\n%d]}]}}', Everything, "lists.items[1].shades[1]"),
    ],
)
def test_enum_numbers_beyond_int32(body: str, into: type[Message], path: str, number: int) -> None:
    """An unknown number is kept as far as an enum can be it."""
    error = refused(JSON, (body % number).encode(), into)
    assert error.metadata["field"] == path
    assert f"found {number}"[:50] in error.message


def test_enum_numbers_within_int32() -> None:
    """The first and the last one, and numbers as long beside an enum."""
    for number in (2**31 - 1, -(2**31)):
        found = JSON.decode(b'{"aColor":%d}' % number, Scalars)
        assert found == Scalars(a_color=Color(number))
        assert Scalars.from_binary(found.to_binary()) == found
    assert JSON.decode(b'{"anInt64":2147483648,"aColor":1}', Scalars) == Scalars(an_int64=2**31, a_color=Color.RED)


ENDLESS = ["1e999", "-1E+999", "1e0400", "1.5e+0309", "9" * 400, f"{'1' * 300}e99", f"{'1' * 210}e100"]
PLACES = [
    ('{"value": %s}', WellKnown, "value"),
    ('{"value":[0, {"a":[%s]}]}', WellKnown, 'value[1]["a"][0]'),
    ('{"facts":{"a\\"":%s}}', WellKnown, 'facts["a\\""]'),
    ('{"list":[%s]}', WellKnown, "list[0]"),
    ('{"values":[null,%s]}', WellKnown, "values[1]"),
    ('{"values":{"k":%s}}', Maps, 'values["k"]'),
    ("%s", Value, None),
    ('{"new": 1, "value": %s}', WellKnown, "value"),
]


@pytest.mark.parametrize("number", ENDLESS)
@pytest.mark.parametrize(("body", "into", "path"), PLACES)
def test_infinite_numbers_in_json(body: str, into: type[Message], path: str | None, number: str) -> None:
    """A number beyond double would be an infinity, which JSON cannot say."""
    error = refused(JSON, (body % number).encode(), into)
    assert error.metadata.get("field") == path
    assert "expected a number within the range of double, found " in error.message


def test_infinite_numbers_in_an_any() -> None:
    """What a registry makes known is looked at too."""
    inside = f'{{"any": {{"@type": "{TYPED}WellKnown", "value": {{"a": 1e999}}}}}}'
    assert refused(ANY, inside.encode(), WellKnown).metadata["field"] == 'any.value["a"]'
    enum = f'{{"any": {{"@type": "{TYPED}Scalars", "aColor": 2147483648}}}}'
    assert refused(ANY, enum.encode(), WellKnown).metadata["field"] == "any.aColor"


def test_numbers_that_only_look_infinite() -> None:
    """What is in a text, small, or allowed to be infinite stays."""
    body = b'{"value":{"4e123":"1e999","a":1e-999,"b":1e308,"c":0e999},"doubleValue":"Infinity","floatValue":"NaN"}'
    found = JSON.decode(body, WellKnown)
    assert found.double_value is not None
    assert found.double_value.value == math.inf
    assert json.loads(JSON.encode(found))["value"] == {"4e123": "1e999", "a": 0.0, "b": 1e308, "c": 0.0}


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(), st.sampled_from(["%s", "[ %s]", '{"a":%s}']))
def test_finite_numbers_are_read(number: float, form: str) -> None:
    """Whatever double can hold is read, and written back as it is."""
    found = JSON.decode((form % json.dumps(number)).encode(), Value)
    assert json.loads(JSON.encode(found)) == json.loads(form % float(number))


def test_the_search_ends_and_the_verdict_stands() -> None:
    """Where the place is too far to look for, the body is refused all the same."""
    zeros = "0," * (MAX_CHECKS + 1)
    assert "out of range" in refused(JSON, f'{{"lists":{{"colors":[{zeros}2147483648]}}}}'.encode(), Everything).message
    wide = f'{{"value":[{zeros}1e999]}}'
    assert "out of range" in refused(JSON, wide.encode(), WellKnown).message
    far = f'{{"lists":{{"int32s":[{zeros}0]}},"wellKnown":{{"value":1e999}}}}'
    assert "out of range" in refused(JSON, far.encode(), Everything).message


def test_missing_required_fields_hide_nothing() -> None:
    """Writing fails on those first; the numbers are looked for nevertheless."""
    assert JSON.decode(b'{"numbered": {"1": "x"}}', Legacy) == Legacy(numbered={1: "x"})
    assert refused(JSON, b'{"numbered": {"1e10": "x"}}', Legacy).metadata == {"field": "numbered"}


def test_most_messages_are_not_looked_at() -> None:
    """Only types with such fields pay, and they pay for a search."""
    JSON.decode(b'{"anInt64": 2147483648}', Scalars)
    doubts = JSON._doubts[Scalars]
    assert doubts is not None
    assert not doubts.values
    assert not may_exceed(b'{"anInt64":"2147483648","aDouble":1e999}', doubts)
    assert may_exceed(b'{"anInt64":-2147483648}', doubts)


@pytest.mark.parametrize(
    ("codec", "body", "into", "said"),
    [
        (YamlCodec(), b"aColor: 2147483648", Scalars, "aColor: expected"),
        (YamlCodec(), b"value: [0, .inf]", WellKnown, f"value[1]: expected {DOUBLE}, {LARGE}"),
        (YamlCodec(), b"facts: {a: .nan}", WellKnown, f'facts["a"]: expected {DOUBLE}, NaN'),
        (YamlCodec(), b"value: 1e999", WellKnown, "1e999 is too large for a number at line 1, column 8"),
        (YamlCodec(), b"value: 0x" + b"f" * 300, WellKnown, "value: expected a number within the range of double, 17"),
        (YamlCodec(), b"anInt32: 0x" + b"f" * 3500, Scalars, "too many digits at line 1, column 10"),
        (YamlCodec(), b"anInt32: 0x" + b"f" * 2990, Scalars, "anInt32: expected an integer"),
        (XmlCodec(), b"<S><aColor>2147483648</aColor></S>", Scalars, "aColor: expected"),
        (XmlCodec(), b"<S><aColor>999999999999</aColor></S>", Scalars, "aColor: expected"),
        (XmlCodec(), b'<W><value json="true">[1e999]</value></W>', WellKnown, "value[0]: expected a number within"),
        (MsgpackCodec(), msgpack.packb({"aColor": 2**31}), Scalars, "aColor: expected"),
        (MsgpackCodec(), msgpack.packb({"value": [math.nan]}), WellKnown, "value[0]: expected a number within"),
        (MsgpackCodec(), msgpack.packb({"facts": {"a": -math.inf}}), WellKnown, 'facts["a"]: expected a number within'),
        (FormCodec(), b"aColor=2147483648", Scalars, "aColor: 2147483648 is out of range"),
        (FormCodec(), b"value=1e999", WellKnown, "value: expected a JSON value that a message can hold, not '1e999'"),
        (FormCodec(), b"value=[-1e999]", WellKnown, "value: expected a JSON value that a message can hold"),
        (FormCodec(), b"value=" + b"[" * 150 + b"]" * 150, WellKnown, "value: expected a JSON value"),
        (FormCodec(), b"value=" + b"[" * 99_999, WellKnown, "value: expected a JSON value"),
        (FormCodec(), b"facts[a]=1e999", WellKnown, "facts[a]: expected a JSON value that a message can hold"),
        (FormCodec(), b"value.numberValue=NaN", WellKnown, "value.numberValue: expected a number within"),
        (FormCodec(), b"number_value=-Infinity", Value, "number_value: expected a number within"),
    ],
)  # fmt: skip
def test_other_encodings(codec: Codec, body: bytes, into: type[Message], said: str) -> None:
    """The same is refused in whatever clothes it comes."""
    message = refused(codec, body, into).message.replace("found ", "")
    assert said in message


def test_a_value_may_hold_a_text() -> None:
    """A query has texts that only look like JSON's constants."""
    found = FormCodec().decode(b"value=NaN&values=Infinity&values=-1", WellKnown)
    assert found.value == Value(kind=Oneof("string_value", "NaN"))
    assert [value.kind and value.kind.field for value in found.values] == ["string_value", "number_value"]


@pytest.mark.parametrize("codec", [JSON, YamlCodec(), XmlCodec(), MsgpackCodec(), FormCodec()], ids=lambda c: c.name)
@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_what_binary_brings_is_not_written(codec: Codec, number: float) -> None:
    """The binary form can hold what JSON has no word for; writing it fails, and nothing broken goes out."""
    message: Any = WellKnown(value=Value(kind=Oneof("number_value", number)))
    message = ProtoCodec().decode(ProtoCodec().encode(message), WellKnown)
    with pytest.raises(ValueError, match=r"NaN or Infinity|JSON has no form for"):
        codec.encode(message)


@pytest.mark.parametrize("codec", [JSON, YamlCodec(), XmlCodec(), MsgpackCodec(), FormCodec()], ids=lambda c: c.name)
def test_an_empty_body_is_null(codec: Codec) -> None:
    """A Value that is empty has no JSON, so it is null."""
    found = codec.decode(b"", Value)
    assert found == Value(kind=Oneof("null_value", NullValue.NULL_VALUE))
    assert JSON.encode(found) == b"null"
    with pytest.raises(ValueError, match="exactly one field"):
        JSON.encode(Value())
