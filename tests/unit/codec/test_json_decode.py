"""What JSON becomes a message, and what is said of the rest."""

from __future__ import annotations

import json

import pytest
from fixtures.gen.fixture.codec.v1.everything_pb import (
    Choice,
    Color,
    Everything,
    Item,
    Keywords,
    Lists,
    Maps,
    Optionals,
    Plain,
    Scalars,
    Tree,
    WellKnown,
)
from fixtures.gen.fixture.codec.v1.legacy_pb import Grade, Legacy
from fixtures.gen.fixture.codec.v1.modern_pb import Modern, Part
from protobuf import Enum, Message, Oneof, Registry
from protobuf.wkt import Any, Duration, Empty, FieldMask, NullValue, StringValue, Timestamp, Value

from kratos.codec import JsonCodec, JsonOptions
from kratos.codec.diagnose import MAX_CHECKS
from kratos.codec.jsontext import MAX_DEPTH
from kratos.errors import BadRequest

JSON = JsonCodec()
COLORS = "one of COLOR_UNSPECIFIED, COLOR_RED, COLOR_GREEN, COLOR_BLUE"
DOUBLE = "a number within the range of double"
TIME = 'expected a time such as "2025-01-31T12:00:00Z"'
INT32 = "an integer from -2147483648 to 2147483647"
INT64 = "an integer from -9223372036854775808 to 9223372036854775807"
UINT32 = "an integer from 0 to 4294967295"
UINT64 = "an integer from 0 to 18446744073709551615"


def refused(body: bytes | str, into: type[Message], codec: JsonCodec = JSON) -> BadRequest:
    with pytest.raises(BadRequest) as raised:
        codec.decode(body.encode() if isinstance(body, str) else body, into)
    assert (raised.value.code, raised.value.reason) == (400, "CODEC")
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return raised.value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", Scalars()),
        (b"{}", Scalars()),
        (b' {"aBool": true}\n', Scalars(a_bool=True)),
        (b'{"a_bool": true}', Scalars(a_bool=True)),
        (b'{"anInt64": "9007199254740993"}', Scalars(an_int64=9007199254740993)),
        (b'{"anInt64": 9007199254740993}', Scalars(an_int64=9007199254740993)),
        (b'{"aUint64": 18446744073709551615}', Scalars(a_uint64=2**64 - 1)),
        (b'{"anInt32": 1.0}', Scalars(an_int32=1)),
        (b'{"anInt32": 1e2}', Scalars(an_int32=100)),
        (b'{"anInt32": "-5"}', Scalars(an_int32=-5)),
        (b'{"aDouble": "Infinity", "aFloat": "-Infinity"}', Scalars(a_double=float("inf"), a_float=float("-inf"))),
        (b'{"aDouble": "1.5"}', Scalars(a_double=1.5)),
        (b'{"aBytes": "-_8"}', Scalars(a_bytes=b"\xfb\xff")),
        (b'{"aBytes": "+/8="}', Scalars(a_bytes=b"\xfb\xff")),
        (b'{"aColor": "COLOR_RED"}', Scalars(a_color=Color.RED)),
        (b'{"aColor": 1}', Scalars(a_color=Color.RED)),
        (b'{"aColor": 99}', Scalars(a_color=Color(99))),
        (b'{"aColor": null, "aString": null, "aBytes": null}', Scalars()),
        (b'{"aString": "\\ud83d\\ude00"}', Scalars(a_string="\U0001f600")),
        (b'{"aString": "a", "aString": "b"}', Scalars(a_string="b")),
        (b'{"items": null}', Lists()),
        (b'{"byInt32": null, "byBool": {"true": "x"}}', Maps(by_bool={True: "x"})),
        (b'{"values": {"a": null}}', Maps(values={"a": Value(kind=Oneof("null_value", NullValue.NULL_VALUE))})),
        (b'{"pageSize": 1, "page_size": 2}', Plain(page_size=2)),
        (b'{"from": "a", "None": "b", "class": 3, "other-name": "c"}', Keywords(from_="a", None_="b", class_=3,
                                                                                renamed="c")),
        (b'{"renamed": "c"}', Keywords(renamed="c")),
        (b'{"aText": "x", "aNumber": null, "anItem": null}', Choice(target=Oneof("a_text", "x"))),
        (b'{"aText": "x", "a_text": "y"}', Choice(target=Oneof("a_text", "y"))),
        (b'{"aNull": null}', Choice(target=Oneof("a_null", NullValue.NULL_VALUE))),
        (b'{"time": "1970-01-01T00:00:01Z", "span": "1.5s", "mask": "pageSize"}',
         WellKnown(time=Timestamp(seconds=1), span=Duration(seconds=1, nanos=500_000_000),
                   mask=FieldMask(paths=["page_size"]))),
        (b'{"any": {}, "int32Value": null}', WellKnown(any=Any())),
        (b'{"id": "x", "grade": "GRADE_A", "extra": {"note": "n"}, "graded": {"a": "GRADE_B"}}',
         Legacy(id="x", grade=Grade.A, extra=Legacy.Extra(note="n"), graded={"a": Grade.B})),
        (b'{"delimited": {"id": "x"}, "part": {}}', Modern(delimited=Part(id="x"), kind=Oneof("part", Part()))),
    ],
)  # fmt: skip
def test_what_is_read(body: bytes, message: Message) -> None:
    """Both spellings of names, both forms of numbers and enums, null for "unset", nothing for an empty message."""
    assert JSON.decode(body, type(message)) == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"new": 1}', Scalars()),
        (b'{"new": {"a": [1, {"b": null}]}, "aBool": true}', Scalars(a_bool=True)),
        (b'{"aColor": 99, "new": 1}', Scalars(a_color=Color(99))),
        (b'{"@type": "x", "aBool": true}', Scalars(a_bool=True)),
        (b'{"[some.extension]": 1}', Scalars()),
        (b'{"items": [{"new": 1, "sku": "a"}, {"sku": "b"}]}', Lists(items=[Item(sku="a"), Item(sku="b")])),
        (b'{"items": {"new": {"new": 1, "sku": "a"}}}', Maps(items={"new": Item(sku="a")})),
        (b'{"left": {"new": 1, "left": {"new": 1, "name": "n"}}}', Tree(left=Tree(left=Tree(name="n")))),
        (b'{"new": 1, "aNumber": 5}', Choice(target=Oneof("a_number", 5))),
        (b'{"new": 1, "scalars": null, "aBool": true}', Optionals(a_bool=True)),
        (b'{"new": 1, "nothing": {"new": 2}}', WellKnown(nothing=Empty())),
    ],
)
def test_unknown_keys_are_ignored(body: bytes, message: Message) -> None:
    """Unknown keys make no difference, wherever they are; keys of maps are not unknown."""
    assert JSON.decode(body, type(message)) == message


def test_unknown_keys_of_structs_are_content() -> None:
    """A Struct has no unknown keys."""
    found = JSON.decode(b'{"new": 1, "facts": {"new": {"a": [null]}}}', WellKnown)
    assert JsonCodec(JsonOptions(zero_values=False)).encode(found) == b'{"facts":{"new":{"a":[null]}}}'


@pytest.mark.parametrize(
    ("into", "body", "path", "what"),
    [
        # Enums
        (Scalars, '{"aColor": "PURPLE"}', "aColor", f'expected {COLORS}, found "PURPLE"'),
        (Lists, '{"colors": ["COLOR_RED", "PURPLE"]}', "colors[1]", f'expected {COLORS}, found "PURPLE"'),
        (Lists, '{"items": [{}, {"color": "PURPLE"}]}', "items[1].color", f'expected {COLORS}, found "PURPLE"'),
        (Lists, '{"items": [{"shades": [0, "x"]}]}', "items[0].shades[1]", f'expected {COLORS}, found "x"'),
        (Maps, '{"colors": {"a": "PURPLE"}}', 'colors["a"]', f'expected {COLORS}, found "PURPLE"'),
        (Maps, '{"items": {"a.b": {"color": "x"}}}', 'items["a.b"].color', f'expected {COLORS}, found "x"'),
        (Scalars, '{"new": 1, "aColor": "x"}', "aColor", f'expected {COLORS}, found "x"'),
        (Scalars, '{"a_color": "x"}', "a_color", f'expected {COLORS}, found "x"'),
        (Scalars, '{"aColor": 1.5}', "aColor", f"expected {COLORS}, found 1.5"),
        (Scalars, '{"aColor": true}', "aColor", f"expected {COLORS}, found true"),
        (Legacy, '{"grade": 9}', "grade", "expected one of GRADE_A, GRADE_B, found 9"),
        (Legacy, '{"grades": [1, 9]}', "grades[1]", "expected one of GRADE_A, GRADE_B, found 9"),
        (WellKnown, '{"null": "x"}', "null", 'expected one of NULL_VALUE, found "x"'),
        # Integers of every kind: out of range on both sides, fractions, other types
        *((Scalars, f'{{"{name}": {wrong}}}', name, f"expected {expected}, found {wrong}")
          for names, expected, low, high in [
              (("anInt32", "aSint32", "aSfixed32"), INT32, -2**31 - 1, 2**31),
              (("anInt64", "aSint64", "aSfixed64"), INT64, -2**63 - 1, 2**63),
              (("aUint32", "aFixed32"), UINT32, -1, 2**32),
              (("aUint64", "aFixed64"), UINT64, -1, 2**64),
          ] for name in names for wrong in (low, high, f'"{high}"', "1.5", '"1.5"', '"x"', '""', "true")),
        (Scalars, '{"anInt32": [1]}', "anInt32", f"expected {INT32}, found a list"),
        (Scalars, '{"anInt32": {"a": 1}}', "anInt32", f"expected {INT32}, found an object"),
        (Scalars, '{"anInt64": 1e400}', "anInt64", f"expected {INT64}, found a number that is too large"),
        (Scalars, f'{{"anInt64": "{"1" * 5000}"}}', "anInt64", f'expected {INT64}, found "{"1" * 49}…'),
        # Floats
        (Scalars, '{"aFloat": 1e39}', "aFloat", "expected a number within the range of float, found 1e+39"),
        (Scalars, '{"aDouble": -1e400}', "aDouble", f"expected {DOUBLE}, found a number that is too large"),
        (Scalars, '{"aDouble": "1e400"}', "aDouble", 'expected a number within the range of double, found "1e400"'),
        (Scalars, '{"aDouble": "nan"}', "aDouble", 'expected a number within the range of double, found "nan"'),
        (Scalars, '{"aDouble": false}', "aDouble", "expected a number within the range of double, found false"),
        # Other scalars
        (Scalars, '{"aBool": "true"}', "aBool", 'expected true or false, found "true"'),
        (Scalars, '{"aString": 5}', "aString", "expected a string, found 5"),
        (Scalars, '{"aBytes": "!!"}', "aBytes", 'expected a string in base64, found "!!"'),
        (Scalars, '{"aBytes": "YQ==="}', "aBytes", 'expected a string in base64, found "YQ==="'),
        (Scalars, f'{{"aBytes": "{"!" * 200}"}}', "aBytes", f'expected a string in base64, found "{"!" * 49}…'),
        # Lists, maps, messages
        (Lists, '{"int32s": 1}', "int32s", "expected a list, found 1"),
        (Lists, '{"int32s": {}}', "int32s", "expected a list, found an object"),
        (Lists, '{"int32s": [1, null]}', "int32s[1]", "expected a value, found null"),
        (Lists, '{"colors": [null]}', "colors[0]", "expected a value, found null"),
        (Lists, '{"items": [null]}', "items[0]", "expected a value, found null"),
        (Lists, '{"items": [{}, []]}', "items[1]", "expected an object, found a list"),
        (Maps, '{"items": []}', "items", "expected an object, found a list"),
        (Maps, '{"byInt32": {"1": null}}', 'byInt32["1"]', "expected a value, found null"),
        (Maps, '{"byInt32": {"x": "1"}}', "byInt32", f'expected keys to be {INT32}, found "x"'),
        (Maps, '{"byUint32": {"-1": 1}}', "byUint32", f'expected keys to be {UINT32}, found "-1"'),
        (Maps, '{"byInt32": {"2147483648": 1}}', "byInt32", f'expected keys to be {INT32}, found "2147483648"'),
        (Maps, '{"byInt64": {"-1e30": 1}, "new": 1}', "byInt64", f'expected keys to be {INT64}, found "-1e30"'),
        (Maps, '{"byBool": {"TRUE": "x"}}', "byBool", 'expected keys to be "true" or "false", found "TRUE"'),
        (Maps, '{"numbers": {"a": "b"}}', 'numbers["a"]', f'expected {INT32}, found "b"'),
        (Maps, f'{{"numbers": {{"{"k" * 99}": "b"}}}}', f'numbers["{"k" * 50}"]', f'expected {INT32}, found "b"'),
        (Tree, '{"left": 5}', "left", "expected an object, found 5"),
        # Well-known types
        (WellKnown, '{"time": "yesterday"}', "time", f'{TIME}, found "yesterday"'),
        (WellKnown, '{"times": ["1970-01-01T00:00:00Z", "x"]}', "times[1]", f'{TIME}, found "x"'),
        (WellKnown, '{"times": [null]}', "times[0]", "expected a value, found null"),
        (WellKnown, '{"span": "1"}', "span", 'expected a duration such as "1.5s", found "1"'),
        (WellKnown, '{"mask": "page_size"}', "mask",
         'expected a field mask such as "name,createTime", found "page_size"'),
        (WellKnown, '{"facts": []}', "facts", "expected an object, nested less than 100 deep, found a list"),
        (WellKnown, '{"list": {}}', "list", "expected a list, nested less than 100 deep, found an object"),
        (WellKnown, '{"int32Value": "x"}', "int32Value", f'expected {INT32}, found "x"'),
        (WellKnown, '{"nothing": []}', "nothing", "expected an object, found a list"),
        (WellKnown, '{"any": {}, "span": 5}', "span", 'expected a duration such as "1.5s", found 5'),
        (WellKnown, '{"any": 5}', "any", 'expected an object with "@type", found 5'),
        (WellKnown, '{"any": {"sku": "x"}}', "any.@type", "expected the name of a type known here, found null"),
        (WellKnown, '{"any": {"@type": "x/Y"}}', "any.@type", 'expected the name of a type known here, found "x/Y"'),
        # Oneofs
        (Choice, '{"aText": "x", "aNumber": 5}', "aNumber", "only one of aText and aNumber may be set"),
        (Choice, '{"a_number": 5, "aText": ""}', "aText", "only one of a_number and aText may be set"),
        (Choice, '{"aText": "x", "aNull": null}', "aNull", "only one of aText and aNull may be set"),
        (Choice, '{"aText": "x", "\\u0061Number": 5}', "aNumber", "only one of aText and aNumber may be set"),
        (Choice, '{"new": 1, "aText": "x", "aNumber": 5}', "aNumber", "only one of aText and aNumber may be set"),
        (Everything, '{"choices": [{}, {"aText": "x", "anItem": {}}]}', "choices[1].anItem",
         "only one of aText and anItem may be set"),
    ],
)  # fmt: skip
def test_what_does_not_fit(into: type[Message], body: str, path: str, what: str) -> None:
    """The error says where, what was expected and what was found; metadata has the place for programs."""
    error = refused(body, into)
    assert error.message == f"{path}: {what}"
    assert error.metadata == {"field": path}


@pytest.mark.parametrize(
    ("body", "found"),
    [(b"[]", "a list"), (b"[{}]", "a list"), (b"5", "5"), (b'"x"', '"x"'), (b"null", "null"), (b"true", "true")],
)
def test_bodies_that_are_no_object(body: bytes, found: str) -> None:
    """A message is an object."""
    error = refused(body, Scalars)
    assert error.message == f"the body: expected an object, found {found}"
    assert error.metadata == {}


@pytest.mark.parametrize(
    ("body", "what", "place"),
    [
        (b"{", "expecting property name enclosed in double quotes", (1, 2)),
        (b'{"aString": "x"', "expecting ',' delimiter", (1, 16)),
        (b'{"aString": "x"}\n\n x', "extra data", (3, 2)),
        (b'{"new": 1} x', "extra data", (1, 12)),
        (b"{\n \"aString\": 'x'}", "expecting value", (2, 13)),
        (b'{"anInt32": 01}', "expecting ',' delimiter", (1, 14)),
        (b'{"aString": "\x01"}', "invalid control character", (1, 14)),
        (b" ", "expecting value", (1, 2)),
        (b"\xef\xbb\xbf{}", "expecting value", (1, 1)),
        (b'{"aString": "\\ud800"}', "half of a surrogate pair", (1, 14)),
        (b'{"new": "\\udc00\\ud800"}', "half of a surrogate pair", (1, 10)),
        (b'{"new": "\\\\\\ud800"}', "half of a surrogate pair", (1, 12)),
        (b'{"new": "\\ud83d\\ude00\\ude00"}', "half of a surrogate pair", (1, 22)),
        (b'{"\\ud800": 1}', "half of a surrogate pair", (1, 3)),
    ],
)
def test_text_that_is_no_json(body: bytes, what: str, place: tuple[int, int]) -> None:
    """The error has a line and a column, for people and for programs."""
    error = refused(body, Scalars)
    line, column = place
    assert error.message == f"the body is not JSON: {what} at line {line}, column {column}"
    assert error.metadata == {"line": str(line), "column": str(column)}


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["aDouble", "new"])
def test_constants_that_are_no_json(name: str, field: str) -> None:
    """Numbers that JSON does not have are refused where they are read and where they are not."""
    error = refused(f'{{"{field}": {name}}}', Scalars)
    assert error.message == f'the body is not JSON: {name} is no number; a float field takes it in quotes, "{name}"'


@pytest.mark.parametrize(
    "body", [b'{"aString": "\xff"}', b'{"new": "\xff"}', b'{"aString": "\xed\xa0\x80"}', '{"a":1}'.encode("utf-16")]
)
def test_text_that_is_no_utf8(body: bytes) -> None:
    """JSON between peers is UTF-8 and nothing else."""
    assert refused(body, Scalars).message.startswith("the body is not UTF-8: byte ")


def test_text_that_is_utf8_of_another_width() -> None:
    """UTF-16 without a mark happens to be UTF-8 and is not JSON."""
    assert "is not JSON" in refused('{"aString":"x"}'.encode("utf-16-le"), Scalars).message


@pytest.mark.parametrize("field", ["aDouble", "anInt64", "new"])
def test_numbers_with_too_many_digits(field: str) -> None:
    """A number that Python does not convert is refused, not a crash."""
    assert "too many digits" in refused(f'{{"{field}": {"1" * 5000}}}', Scalars).message


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b"[" * 1_000_000 + b"]" * 1_000_000,
        b'{"new":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
        b'{"aString":' + b'{"a":' * 500_000 + b"1" + b"}" * 500_000 + b"}",
        b'{"a":"\\"' + b"]" * 9 + b'","b":' + b"[" * 100_000,
        b'{"a":"\\\\","b":' + b"[" * 100_000 + b'"',
        b'{"a":"]]]]]]","b":"' + b"]" * 100_000 + b'","c":' + b"[ " * 100_000,
    ],
)
def test_depth_bombs(body: bytes) -> None:
    """Nesting that would overflow the native decoder's stack is refused before it sees it, whatever strings hold."""
    assert refused(body, Scalars).message == f"the body is nested deeper than {MAX_DEPTH} levels"


@pytest.mark.parametrize(
    "body", [b'"\\' * 500_000, b'\\"' * 500_000, b'{"a":"' + b"[" * 1_000_000, b'["' * 500_000, b'"["' * 300_000]
)
def test_brackets_in_strings(body: bytes) -> None:
    """Odd quotes and brackets cost linear time and end in a refusal."""
    assert refused(body, Scalars).reason == "CODEC"


def test_brackets_in_strings_do_not_count() -> None:
    """Text full of brackets is text."""
    text = '[{"\\' * 500
    body = JSON.encode(Scalars(a_string=text))
    assert JSON.decode(body, Scalars).a_string == text


def test_depth_at_the_limit() -> None:
    """Exactly the limit is read, one level more is not."""
    inside = MAX_DEPTH - 1
    assert JSON.decode(b'{"new":' + b"[" * inside + b"]" * inside + b"}", Scalars) == Scalars()
    assert "nested deeper" in refused(b'{"new":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", Scalars).message


def test_wide_is_not_deep() -> None:
    """Many objects side by side are no depth."""
    body = b'{"items":[' + b'{"sku":"[[["},' * 1000 + b"{}]}"
    assert len(JSON.decode(body, Lists).items) == 1001


def test_messages_nested_too_deep() -> None:
    """A hundred messages in each other are read, more are refused; what can be written in lists can be read."""
    tree = Tree(name="leaf")
    for _ in range(99):
        tree = Tree(children=[tree])
    assert JSON.decode(JSON.encode(tree), Tree) == tree
    for body in (b'{"left":' * 101 + b"{}" + b"}" * 101, b'{"new":1,"left":' * 150 + b"{}" + b"}" * 150):
        assert "recursion depth" in refused(body, Tree).message
    assert "nested less than 100 deep" in refused(b'{"value":' + b"[" * 150 + b"]" * 150 + b"}", WellKnown).message


def test_several_problems() -> None:
    """All problems are told, the first one for programs."""
    error = refused('{"anInt32": "x", "new": 1, "aColor": "y", "aBool": true}', Scalars)
    assert error.message == f'anInt32: expected {INT32}, found "x"; aColor: expected {COLORS}, found "y"'
    assert error.metadata == {"field": "anInt32"}


def test_many_problems() -> None:
    """The list of problems is cut, and says so."""
    error = refused('{"int32s": [' + '"x",' * 50 + "1]}", Lists)
    assert error.message.count("expected") == 10
    assert error.message.endswith("; and more")
    assert error.metadata == {"field": "int32s[0]"}
    ten = refused('{"int32s": [' + ",".join(['"x"'] * 10) + "]}", Lists)
    assert not ten.message.endswith("and more")


def test_a_oneof_twice_beside_other_problems() -> None:
    """Oneofs come first, the rest is told with them."""
    error = refused('{"aText": 5, "aNumber": 5}', Choice)
    assert error.message == "aNumber: only one of aText and aNumber may be set; aText: expected a string, found 5"


def test_search_for_problems_is_bounded() -> None:
    """Past some work the body is refused without a place."""
    near = b'{"int32s": [' + b"1," * (MAX_CHECKS // 2) + b'"x"]}'
    assert refused(near, Lists).metadata == {"field": f"int32s[{MAX_CHECKS // 2}]"}
    far = b'{"int32s": [' + b"1," * (MAX_CHECKS + 1) + b'"x"], "strings": [5]}'
    error = refused(far, Lists)
    assert error.message.startswith("the body is no fixture.codec.v1.Lists: ")
    assert len(error.message) < 200
    assert error.metadata == {}


def test_large_enums_are_cut() -> None:
    """Of many names the first ones are told."""
    from protobuf.wkt.google.protobuf.descriptor_pb import FieldDescriptorProto

    error = refused('{"type": "x"}', FieldDescriptorProto)
    assert error.message.endswith('TYPE_FIXED64, TYPE_FIXED32, TYPE_BOOL, …, found "x"')


def test_unknown_keys_may_be_refused() -> None:
    """With the option an unknown key is a problem like any other."""
    strict = JsonCodec(JsonOptions(unknown="reject"))
    assert strict.decode(b'{"aBool": true}', Scalars) == Scalars(a_bool=True)
    error = refused('{"items": [{"colour": 1}], "new": {}}', Lists, strict)
    assert error.message == (
        "items[0].colour: fixture.codec.v1.Item has no such field; new: fixture.codec.v1.Lists has no such field"
    )
    assert error.metadata == {"field": "items[0].colour"}
    twice = refused('{"aText": "x", "aNumber": 5, "new": 1}', Choice, strict)
    assert "only one of" in twice.message
    assert "no such field" in twice.message


def test_oneofs_are_found_behind_unions() -> None:
    """Elements that set different members of one oneof are fine."""
    body = b'{"choices": [{"aText": "x"}, {"aNumber": "5"}, {"aColor": "COLOR_RED"}]}'
    found = JSON.decode(body, Everything)
    assert [choice.target.field for choice in found.choices if choice.target] == ["a_text", "a_number", "a_color"]
    assert JSON.decode(body, Everything) == found


ANY = JsonCodec(registry=Registry(Item, Choice, Timestamp, StringValue, WellKnown, Any))


@pytest.mark.parametrize("extra", ['"new": 1, ', ""])
def test_any(extra: str) -> None:
    """What the registry knows is read in an Any, unknown keys and all."""
    found = ANY.decode(f'{{"any": {{"@type": "t/fixture.codec.v1.Item", {extra}"sku": "x"}}}}'.encode(), WellKnown)
    assert found.any is not None
    assert found.any.unpack(Item) == Item(sku="x")
    stamp = f'{{{extra}"any": {{"@type": "t/google.protobuf.Timestamp", "value": "1970-01-01T00:00:05Z"}}}}'
    found = ANY.decode(stamp.encode(), WellKnown)
    assert found.any is not None
    assert found.any.unpack(Timestamp) == Timestamp(seconds=5)


@pytest.mark.parametrize(
    ("content", "path", "what"),
    [
        ('"@type": "t/fixture.codec.v1.Item", "color": "x"', "any.color", f'expected {COLORS}, found "x"'),
        ('"@type": "t/google.protobuf.Timestamp", "value": "x"', "any",
         'expected a time such as "2025-01-31T12:00:00Z", found "x"'),
        ('"@type": "t/google.protobuf.StringValue", "value": 5', "any", "expected a string, found 5"),
        ('"@type": "t/fixture.codec.v1.Choice", "aText": "x", "aNumber": 1', "any.aNumber",
         "only one of aText and aNumber may be set"),
        ('"@type": "t/fixture.codec.v1.Choice", "new": 1, "aText": "x", "aNumber": 1', "any.aNumber",
         "only one of aText and aNumber may be set"),
        ('"@type": "t/google.protobuf.Any", "value": {"@type": "t/fixture.codec.v1.Item", "sku": 5}', "any.sku",
         "expected a string, found 5"),
        ('"@type": 5', "any.@type", "expected the name of a type known here, found 5"),
    ],
)  # fmt: skip
def test_any_that_does_not_fit(content: str, path: str, what: str) -> None:
    """Problems inside of an Any have places too."""
    error = refused(f'{{"any": {{{content}}}}}', WellKnown, ANY)
    assert error.message == f"{path}: {what}"


def test_extensions() -> None:
    """Extensions that the registry knows are no unknown keys."""
    from protobuf.wkt.google.protobuf.descriptor_pb import MethodOptions

    from kratos.wire.google.api import annotations_pb, http_pb

    codec = JsonCodec(registry=Registry(annotations_pb.desc()))
    body = b'{"new": 1, "deprecated": true, "[google.api.http]": {"get": "/x"}, "[google.api.nothing]": 1}'
    found = codec.decode(body, MethodOptions)
    assert found.deprecated
    assert found[annotations_pb.ext_http] == http_pb.HttpRule(pattern=Oneof("get", "/x"))
    assert annotations_pb.ext_http not in JSON.decode(body, MethodOptions)
    strict = JsonCodec(JsonOptions(unknown="reject"), codec._registry)
    assert "[google.api.nothing]" in refused(body, MethodOptions, strict).message
    assert "[google.api.http]" not in refused(body, MethodOptions, strict).message


def test_what_is_no_message() -> None:
    """Types that cannot be read are a defect of the program."""
    with pytest.raises(TypeError, match="not dict"):
        JSON.decode(b"{}", dict)


def test_required_fields_may_be_missing() -> None:
    """Reading does not ask for required fields, with integer keys nor without."""
    assert JSON.decode(b'{"numbered": {"1": "x"}}', Legacy) == Legacy(numbered={1: "x"})
    assert refused(b'{"numbered": {"1e10": "x"}, "id": "x"}', Legacy).metadata == {"field": "numbered"}


def test_a_native_parser_that_is_stricter() -> None:
    """Text that only the native parser minds is refused with its words, not read the slow way."""

    class Picky:
        @staticmethod
        def from_json(data: bytes, registry: Registry | None) -> Scalars:
            raise json.JSONDecodeError("Not to my taste", data.decode(), 1)

    with pytest.raises(BadRequest, match="the body is not JSON: not to my taste at line 1, column 2"):
        JSON.decode(b"{}", Picky)


@pytest.mark.parametrize("text", ["1.0", "1e0", "10e-1"])
def test_enum_numbers_that_are_whole(text: str) -> None:
    """JSON does not tell 1.0 from 1, so an enum takes both, as integers do; halves are none."""
    assert JSON.decode(b'{"aColor":%s}' % text.encode(), Scalars) == JSON.decode(b'{"aColor":1}', Scalars)
    read = JSON.decode(b'{"colors":[2,%s]}' % text.encode(), Lists)
    assert read == JSON.decode(b'{"colors":[2,1]}', Lists)
    for wrong in (b"1.5", b"1e300", b'"1.0"', b"3000000000.0"):
        with pytest.raises(BadRequest, match="aColor: expected one of"):
            JSON.decode(b'{"aColor":%s}' % wrong, Scalars)


@pytest.mark.parametrize("mask", ["\u0084", "a b", "1", "a,1b", "a..b", ".", "a,,b", "a-b", "a\\u0020", "é"])
@pytest.mark.parametrize("form", ['{"mask":"%s"}', '{"mask" : "%s"}', '{"m\\u0061sk":"%s"}'])
def test_masks_that_name_no_fields(mask: str, form: str) -> None:
    """What is no name is refused, and not found out when it is to be written."""
    with pytest.raises(BadRequest, match='expected a field mask such as "name,createTime"') as refused:
        JSON.decode((form % mask).encode(), WellKnown)
    assert refused.value.metadata["field"] == "mask"
    with pytest.raises(BadRequest, match="expected a field mask"):
        JSON.decode(f'"{mask}"'.encode(), FieldMask)


@pytest.mark.parametrize("mask", ["", "a", "a.bC,d1", "*", "ABa"])
def test_masks(mask: str) -> None:
    """What names fields is read, and written back."""
    read = JSON.decode(f'{{"mask": "{mask}"}}'.encode(), WellKnown)
    assert json.loads(JSON.encode(read))["mask"] == mask
    assert JSON.encode(JSON.decode(f'"{mask}"'.encode(), FieldMask)) == f'"{mask}"'.encode()


def test_enum_aliases() -> None:
    """Every alias of a value is read."""
    found = JSON.decode(b'{"inner": {"mood": "MOOD_HAPPY", "size": "SIZE_LARGE"}, "new": 1}', Everything)
    assert found.inner is not None
    assert isinstance(found.inner.mood, Enum)
    assert (int(found.inner.mood), int(found.inner.size)) == (1, 2)
