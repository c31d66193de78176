"""YAML, XML and MessagePack: the values of protobuf JSON in other clothes."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest
import yaml
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
from fixtures.gen.fixture.codec.v1.modern_pb import Modern
from fixtures.gen.fixture.codec.v1.order_pb import Order
from hypothesis import given, settings
from hypothesis import strategies as st
from protobuf import Message, Registry
from protobuf.wkt import Any as AnyMessage
from protobuf.wkt import StringValue, Timestamp
from strategies import json_values, messages_of

from kratos.codec import DEFAULT_CODECS, Codec, JsonCodec, JsonOptions, XmlCodec, YamlCodec
from kratos.contrib.msgpack import MsgpackCodec
from kratos.errors import BadRequest

TYPES = [Scalars, Optionals, Lists, Maps, Choice, Tree, WellKnown, Keywords, Everything, Plain, Modern, Order]
OPTIONS = [
    JsonOptions(),
    JsonOptions(zero_values=False, names="proto", enums="number", unknown="reject"),
]
KINDS: list[Any] = [YamlCodec, XmlCodec, MsgpackCodec]
each_codec = pytest.mark.parametrize("codec", [kind() for kind in KINDS], ids=lambda codec: codec.name)
relaxed = settings(deadline=None, max_examples=25)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("options", OPTIONS, ids=["default", "other"])
@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.__name__)
def test_round_trip(kind: Any, options: JsonOptions, type_: type[Message]) -> None:
    """What is written is read back, whatever is in it."""
    codec: Codec = kind(options)

    @relaxed
    @given(messages_of(type_))
    def holds(message: Message) -> None:
        assert codec.decode(codec.encode(message), type_) == message

    holds()


@each_codec
@relaxed
@given(data=st.binary(max_size=200))
def test_noise_is_refused(codec: Codec, data: bytes) -> None:
    """Bytes of any kind are a message or a 400; nothing else comes out."""
    refused = None
    try:
        codec.decode(data, Everything)
    except BadRequest as error:
        refused = error
    assert refused is None or refused.reason == "CODEC"


@relaxed
@given(value=json_values)
def test_any_values_are_refused_alike(value: object) -> None:
    """The same values are taken or refused as from JSON, whichever clothes they wear."""

    def taken(codec: Codec, data: bytes) -> Message | None:
        try:
            return codec.decode(data, Everything)
        except BadRequest:
            return None

    wanted = taken(JsonCodec(), json.dumps(value).encode())
    assert taken(YamlCodec(), json.dumps(value, ensure_ascii=False).encode()) == wanted or "\\" in json.dumps(value)
    assert taken(MsgpackCodec(), msgpack.packb(value)) == wanted


@each_codec
def test_an_any_keeps_what_is_in_it(codec: Codec) -> None:
    """An Any of a type that the registry knows travels by its members, of a well-known one by its value."""
    registry = Registry(Item, StringValue)
    for inside in (Item(sku="x", color=Color.RED), StringValue(value="y")):
        message = WellKnown(any=AnyMessage.pack(inside))
        known = type(codec)(registry=registry)  # type: ignore[call-arg]  # each of them takes one
        assert known.decode(known.encode(message), WellKnown) == message


@each_codec
def test_an_empty_body_is_an_empty_message(codec: Codec) -> None:
    """As in JSON."""
    assert codec.decode(b"", Plain) == Plain()


@each_codec
def test_only_messages(codec: Codec) -> None:
    """Wrong types are a defect of the program: no BadRequest."""
    with pytest.raises(TypeError, match=f"the {codec.name} codec writes protobuf-py messages, not dict"):
        codec.encode({})
    with pytest.raises(TypeError, match=f"the {codec.name} codec reads protobuf-py messages, not dict"):
        codec.decode(b"x", dict)


def test_they_are_asked_for() -> None:
    """None is among the default codecs; each is found by the media types people use."""
    assert [codec.name for codec in DEFAULT_CODECS] == ["json", "proto"]
    codecs = DEFAULT_CODECS.with_(YamlCodec(), XmlCodec(), MsgpackCodec())
    for header, name in [
        ("application/yaml", "yaml"),
        ("text/x-yaml; charset=utf-8", "yaml"),
        ("text/xml", "xml"),
        ("application/x-msgpack", "msgpack"),
    ]:
        found = codecs.for_request(header)
        assert found is not None
        assert found.name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("aString: yes\naBool: true\nanInt32: 0x10", Scalars(a_string="yes", a_bool=True, an_int32=16)),
        ('aString: "12"\nanInt64: 9007199254740993', Scalars(a_string="12", an_int64=2**53 + 1)),
        ("aDouble: .inf\naFloat: 1e3\nunknown: {a: [1]}", Scalars(a_double=float("inf"), a_float=1000.0)),
        ("aColor: COLOR_RED\naString: 2025-01-31", Scalars(a_color=Color.RED, a_string="2025-01-31")),
        ("{aString: ~, aBool: null, anInt32: 0o17}", Scalars(an_int32=15)),
        ("aDouble: !!float 1\naString: !!str 5\nanInt32: +7", Scalars(a_double=1.0, a_string="5", an_int32=7)),
        ("\ufeffaString: |\n  a\n  b\n", Scalars(a_string="a\nb\n")),
        ("# nothing\n", Scalars()),
    ],
)
def test_yaml_is_version_1_2(text: str, message: Scalars) -> None:
    """Plain scalars mean what the core schema of YAML 1.2 says."""
    assert YamlCodec().decode(text.encode(), Scalars) == message


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a: [", "line 2, column 1"),
        (b"a: 1\nb: 2\na: 3", "the key 'a' comes twice at line 3, column 1"),
        (b"a: &x [1]\nb: *x", "aliases are not read here"),
        (b"&a [*a]", "aliases are not read here"),
        (b"a: !!python/object:os.system x", "is no tag:yaml.org,2002:python/object:os.system at line 1, column 4"),
        (b"a: !!set {b}", "the tag tag:yaml.org,2002:set is not known here"),
        (b"a: !!int b", "is no tag:yaml.org,2002:int"),
        (b"a: 1\n---\nb: 1", "another document"),
        (b"? [a]\n: 1", "a key must be a text"),
        (b"[" * 5000, "nest"),
        (b"- " * 5000, "nest"),
        (b"[" * 300 + b"]" * 300, "nested deeper than 200 levels"),
        (b"\xff", "not UTF-8: byte 1"),
        (b"a: \x00", "not YAML"),
        (b"a: " + b"9" * 5000, "too many digits"),
        (b"a: " + b"9" * 300_000, "larger than the 262144 bytes of YAML"),
        (b"anInt32: x", "anInt32: expected an integer"),
        (b"- 1", "expected an object, found a list"),
    ],
)
def test_bad_yaml(data: bytes, said: str) -> None:
    """What cannot be read is a 400 that says where; nothing that costs more than its length is read."""
    with pytest.raises(BadRequest, match=said.replace("(", r"\(")) as caught:
        YamlCodec().decode(data, Scalars)
    assert caught.value.reason == "CODEC"


def test_yaml_for_others() -> None:
    """A reader of YAML 1.1 and one of 1.2 see the same texts."""
    message = Lists(strings=["yes", "no", "0o7", "1e5", "1_000", "12:30:45", "2025-01-31", "~", "", "a\nb", "<<", "="])
    assert yaml.safe_load(YamlCodec(JsonOptions(zero_values=False)).encode(message)) == {
        "strings": list(message.strings)
    }


def test_xml_looks_like_this() -> None:
    """The mapping, by an example."""
    message = Everything(
        page_size=3,
        lists=Lists(strings=["a & b", "\x01"], colors=[Color.RED]),
        maps=Maps(by_bool={True: "one"}),
        well_known=WellKnown(time=Timestamp(seconds=1)),
    )
    assert XmlCodec(JsonOptions(zero_values=False)).encode(message).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Everything><lists><strings>a &amp; b</strings>'
        '<strings json="true">"\\u0001"</strings><colors>COLOR_RED</colors></lists>'
        '<maps><byBool key="true">one</byBool></maps>'
        "<wellKnown><time>1970-01-01T00:00:01Z</time></wellKnown><pageSize>3</pageSize></Everything>\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<x><aBool> 1 </aBool><anInt32> 7 </anInt32></x>", Scalars(a_bool=True, an_int32=7)),
        ("<x xmlns='urn:a'><aString> a </aString><a_color>1</a_color></x>", Scalars(a_string=" a ", a_color=Color.RED)),
        ("<x><new><deep/></new><aString><![CDATA[<]]></aString></x>", Scalars(a_string="<")),
        ("<x><!-- a --><aString>a&#65;</aString><?php no?></x>", Scalars(a_string="aA")),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><x/>", Scalars()),
    ],
)
def test_what_xml_is_read(text: str, message: Scalars) -> None:
    """Names of both kinds, spaces around numbers, namespaces that do not count, unknown elements that are ignored."""
    assert XmlCodec().decode(text.encode(), Scalars) == message


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<x>", "not XML: no element found at line 1, column 4"),
        (b'<!DOCTYPE x [<!ENTITY e "e">]><x>&e;</x>', "has a DTD"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "has a DTD"),
        (b"<x>&e;</x>", "undefined entity"),
        (b"<x>" * 300, "nested deeper than 200"),
        (b"<x>" + b"<y/>" * 100_001, "more than 100000 elements"),
        (b"<x>text</x>", "x holds elements and no text, at line 1"),
        (b"<x>\n<aString><a/></aString></x>", "aString holds a text and no elements, at line 2"),
        (b"<x><aBool>yes</aBool></x>", 'aBool: expected true or false, found "yes"'),
        (b"<x><aString json='true'>{</aString></x>", "not JSON"),
        (b"<?xml version='1.0' encoding='utf-7'?><x/>", "not XML"),
    ],
)
def test_bad_xml(data: bytes, said: str) -> None:
    """What cannot be read is a 400 that says where; a DTD is never read, so no entity is."""
    with pytest.raises(BadRequest, match=said) as caught:
        XmlCodec().decode(data, Scalars)
    assert caught.value.reason == "CODEC"


@pytest.mark.parametrize(
    ("data", "type_", "said"),
    [
        (b"<x><byInt32>a</byInt32></x>", Maps, "is an entry of a map and needs a key"),
        (b"<x><facts>a</facts></x>", WellKnown, 'a Struct is JSON, under json="true"'),
        (b"<x><any type='a/b'/></x>", WellKnown, "any"),
    ],
)
def test_bad_xml_of_special_fields(data: bytes, type_: type[Message], said: str) -> None:
    """Maps need keys, structs are JSON, an Any names a type that is known."""
    with pytest.raises(BadRequest, match=said):
        XmlCodec().decode(data, type_)


def test_xml_is_linear() -> None:
    """Text cut by many elements is put together once."""
    with pytest.raises(BadRequest, match="holds elements and no text"):
        XmlCodec().decode(b"<x>" + b"aaaaaaaaaaaaaaa<y/>" * 90_000 + b"</x>", Scalars)


def test_msgpack_has_bytes_and_integers() -> None:
    """Bytes are bin, 64-bit integers are integers, NaN is a float; the rest is as in JSON."""
    message = Scalars(an_int64=-(2**63), a_uint64=2**64 - 1, a_bytes=b"\xff", a_double=float("inf"), a_color=Color.RED)
    codec = MsgpackCodec(JsonOptions(zero_values=False))
    assert msgpack.unpackb(codec.encode(message)) == {
        "anInt64": -(2**63), "aUint64": 2**64 - 1, "aDouble": float("inf"), "aBytes": b"\xff", "aColor": "COLOR_RED",
    }  # fmt: skip
    assert codec.decode(codec.encode(message), Scalars) == message
    assert codec.decode(msgpack.packb({"anInt64": "5", "aBytes": "/w==", "new": b"x"}), Scalars) == Scalars(
        an_int64=5, a_bytes=b"\xff"
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xc1", "not MessagePack"),
        (b"\x81\xa1a", "not MessagePack"),
        (b"\xdd\xff\xff\xff\xff", "not MessagePack"),
        (b"\x91" * 5000, "not MessagePack"),
        (b"\x91" * 300 + b"\xc0", "nested deeper than 200"),
        (b"\x80\x80", "not MessagePack"),
        (msgpack.packb({1: 2}), "a key must be a string"),
        (msgpack.packb({"a": msgpack.ExtType(5, b"x")}), "extension type 5"),
        (msgpack.packb({"a": msgpack.Timestamp(1)}), "extension type -1"),
        (msgpack.packb({"aString": b"x"}), "a field of type string cannot be bin"),
        (msgpack.packb({"anInt32": "x"}), "anInt32: expected an integer"),
    ],
)
def test_bad_msgpack(data: bytes, said: str) -> None:
    """What cannot be read is a 400."""
    with pytest.raises(BadRequest, match=said) as caught:
        MsgpackCodec().decode(data, Scalars)
    assert caught.value.reason == "CODEC"
