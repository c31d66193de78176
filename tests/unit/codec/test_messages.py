"""The vocabulary that looks into messages."""

from __future__ import annotations

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
from fixtures.gen.fixture.codec.v1.legacy_pb import Legacy
from fixtures.gen.fixture.codec.v1.modern_pb import Modern
from protobuf import Registry
from protobuf.wkt import Empty, StringValue, Timestamp, Value

from kratos.codec.messages import (
    Field,
    Message,
    assign,
    child,
    clear,
    full_name,
    get,
    has,
    is_message,
    new,
    pack,
    resolve,
    shape,
)


def field(type_: type[Message], name: str) -> Field:
    return shape(type_).named[name]


def test_full_names() -> None:
    """Types are called as in the proto, nested ones with their parents."""
    assert full_name(Scalars) == shape(Scalars).name == "fixture.codec.v1.Scalars"
    assert full_name(Everything.Inner) == "fixture.codec.v1.Everything.Inner"
    assert shape(Everything.Inner).type is Everything.Inner


def test_shapes_are_computed_once() -> None:
    """Asking again returns the same object, also for a type reached through a field."""
    assert shape(Tree) is shape(Tree)
    left = field(Tree, "left").message
    assert left is not None
    assert shape(left) is shape(Tree)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a_bool", "bool"), ("an_int32", "int32"), ("a_sint32", "int32"), ("a_sfixed32", "int32"),
        ("an_int64", "int64"), ("a_sint64", "int64"), ("a_sfixed64", "int64"), ("a_uint32", "uint32"),
        ("a_fixed32", "uint32"), ("a_uint64", "uint64"), ("a_fixed64", "uint64"), ("a_float", "float"),
        ("a_double", "double"), ("a_string", "string"), ("a_bytes", "bytes"), ("a_color", "enum"),
    ],
)  # fmt: skip
def test_kinds_of_scalars(name: str, kind: str) -> None:
    """Every scalar type has a kind; the ones that differ by encoding only share it."""
    found = field(Scalars, name)
    assert found.kind == kind
    assert found.singular
    assert not found.presence
    assert found.message is None
    assert (found.enum is not None) == (kind == "enum")


def test_names_and_numbers() -> None:
    """A field is found by its proto name and by its JSON name, also where the proto chooses that freely."""
    assert field(Plain, "page_size") is field(Plain, "pageSize")
    assert (field(Plain, "page_size").name, field(Plain, "page_size").json_name) == ("page_size", "pageSize")
    assert field(Keywords, "other-name") is field(Keywords, "renamed")
    assert [f.number for f in shape(Plain).fields] == [1, 2, 3, 4, 5]
    assert "pagesize" not in shape(Plain).named


def test_lists_and_maps() -> None:
    """Lists are repeated, maps have a kind of key; the kind is that of the elements."""
    items = field(Lists, "items")
    assert (items.repeated, items.key, items.kind, items.message) == (True, None, "message", Item)
    colors = field(Maps, "colors")
    assert (colors.repeated, colors.key, colors.kind) == (False, "string", "enum")
    assert field(Maps, "by_fixed64").key == "uint64"
    assert not items.singular
    assert not colors.singular


def test_presence() -> None:
    """Presence: optional fields, messages, oneofs and proto2; not plain proto3 scalars, lists and maps."""
    assert all(f.presence for f in shape(Optionals).fields)
    assert field(Tree, "left").presence
    assert field(Choice, "a_text").presence
    assert not field(Tree, "children").presence
    assert not field(Tree, "named").presence
    assert (field(Legacy, "retries").presence, field(Legacy, "id").required) == (True, True)
    assert not field(Legacy, "retries").required
    assert (field(Modern, "name").presence, field(Modern, "count").presence) == (True, False)


def test_oneofs() -> None:
    """Only real oneofs count, not the ones that proto3 uses for optional."""
    assert {name: [f.name for f in members] for name, members in shape(Choice).oneofs.items()} == {
        "target": ["a_text", "a_number", "a_color", "an_item", "a_null"]
    }
    assert field(Choice, "a_text").oneof == "target"
    assert field(Choice, "beside").oneof is None
    assert not shape(Optionals).oneofs
    assert field(Optionals, "a_bool").oneof is None


def test_enums() -> None:
    """Enums know names, aliases, numbers and whether they are open."""
    mood = field(Everything.Inner, "mood").enum
    assert mood is not None
    assert dict(mood.names) == {0: "MOOD_UNSPECIFIED", 1: "MOOD_GLAD", -1: "MOOD_SAD"}
    assert dict(mood.numbers) == {"MOOD_UNSPECIFIED": 0, "MOOD_GLAD": 1, "MOOD_HAPPY": 1, "MOOD_SAD": -1}
    assert mood.open
    color = field(Scalars, "a_color").enum
    assert color is not None
    assert (color.name, color.type) == ("fixture.codec.v1.Color", Color)
    for closed in (field(Legacy, "grade"), field(Modern, "level")):
        assert closed.enum is not None
        assert not closed.enum.open
    shade = field(Modern, "shade").enum
    assert shade is not None
    assert shade.open


def test_well_known_types() -> None:
    """Well-known types are those with a JSON form of their own."""
    assert {f.name: shape(f.message).well_known for f in shape(WellKnown).fields if f.message} == {
        "time": "Timestamp", "span": "Duration", "mask": "FieldMask", "facts": "Struct", "value": "Value",
        "list": "ListValue", "nothing": None, "any": "Any", "times": "Timestamp", "values": "Value",
        "bool_value": "BoolValue", "int32_value": "Int32Value", "int64_value": "Int64Value",
        "uint32_value": "UInt32Value", "uint64_value": "UInt64Value", "float_value": "FloatValue",
        "double_value": "DoubleValue", "string_value": "StringValue", "bytes_value": "BytesValue",
    }  # fmt: skip
    assert shape(Empty).well_known is None


def test_fields_that_take_null() -> None:
    """Null is a value for google.protobuf.Value and NullValue only."""
    assert {f.name for f in shape(WellKnown).fields if f.takes_null} == {"value", "values", "null"}
    assert field(Choice, "a_null").takes_null
    assert not field(Choice, "a_color").takes_null


def test_get_assign_has_clear() -> None:
    """Singular fields: unset is the default, and a set zero counts with presence only."""
    message = new(Optionals)
    count = field(Optionals, "an_int32")
    assert (get(message, count), has(message, count)) == (0, False)
    assign(message, count, 0)
    assert (message.an_int32, has(message, count)) == (0, True)
    clear(message, count)
    assert not has(message, count)
    plain = new(Scalars)
    assign(plain, field(Scalars, "an_int32"), 0)
    assert not has(plain, field(Scalars, "an_int32"))


def test_keyword_names() -> None:
    """Fields whose names are Python's are reached by their proto names."""
    message = new(Keywords)
    for name in ("from", "None", "self", "desc", "lambda"):
        assign(message, field(Keywords, name), name)
        assert get(message, field(Keywords, name)) == name
    assert message.from_ == "from"


def test_members_of_a_oneof() -> None:
    """Setting one member unsets the other."""
    message = new(Choice)
    assign(message, field(Choice, "a_text"), "x")
    assign(message, field(Choice, "a_number"), 7)
    assert not has(message, field(Choice, "a_text"))
    assert (get(message, field(Choice, "a_text")), get(message, field(Choice, "a_number"))) == ("", 7)


def test_lists_and_maps_are_live() -> None:
    """What is appended to a list or put into a map is in the message."""
    lists, maps = new(Lists), new(Maps)
    get(lists, field(Lists, "int32s")).append(7)
    get(maps, field(Maps, "numbers"))["a"] = 1
    assert (lists.int32s, maps.numbers) == ([7], {"a": 1})


def test_child() -> None:
    """A child is made where there is none and kept where there is one."""
    tree = new(Tree)
    left = child(tree, field(Tree, "left"))
    assert isinstance(left, Tree)
    assert child(tree, field(Tree, "left")) is left
    assert tree.left is left
    choice = new(Choice)
    assert child(choice, field(Choice, "an_item")) is child(choice, field(Choice, "an_item"))


@pytest.mark.parametrize("name", ["name", "children", "named"])
def test_no_child(name: str) -> None:
    """Scalars, lists and maps have no child."""
    with pytest.raises(TypeError, match=f"{name} does not hold a single message"):
        child(new(Tree), field(Tree, name))


def test_resolve() -> None:
    """The URL of an Any names a type by what follows the last slash."""
    registry = Registry(Item, Timestamp)
    assert resolve(registry, "type.googleapis.com/fixture.codec.v1.Item") is Item
    assert resolve(registry, "google.protobuf.Timestamp") is Timestamp
    assert resolve(registry, "type.googleapis.com/fixture.codec.v1.Tree") is None
    assert resolve(None, "type.googleapis.com/fixture.codec.v1.Item") is None


def test_wrappers_and_values_are_messages() -> None:
    """Wrappers have one field, whose kind says what they wrap."""
    assert [f.kind for f in shape(StringValue).fields] == ["string"]
    assert shape(Value).oneofs.keys() == {"kind"}


def test_messages_and_other_things() -> None:
    """A message is known as one, and can be packed."""
    assert is_message(Item())
    assert not is_message({"sku": "x"})
    assert pack(Item(sku="x")).unpack(Item) == Item(sku="x")
