"""Laws of the JSON codec, on generated messages and bodies."""

from __future__ import annotations

import json
import sys
from contextlib import suppress

import pytest
from fixtures.gen.fixture.codec.v1.everything_pb import (
    Choice,
    Everything,
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
from fixtures.gen.fixture.codec.v1.order_pb import Order
from hypothesis import given, settings
from hypothesis import strategies as st
from protobuf import Message
from strategies import json_values, messages_of

from kratos.codec import JsonCodec, JsonOptions
from kratos.codec.jsontext import check_depth, parse
from kratos.codec.messages import shape
from kratos.errors import BadRequest

TYPES = [Scalars, Optionals, Lists, Maps, Choice, Tree, WellKnown, Keywords, Everything, Plain, Legacy, Modern, Order]
OPTIONS = st.builds(
    JsonOptions,
    zero_values=st.booleans(),
    names=st.sampled_from(["json", "proto"]),
    enums=st.sampled_from(["name", "number"]),
    unknown=st.sampled_from(["ignore", "reject"]),
)
JSON = JsonCodec()
by_type = pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.__name__)
relaxed = settings(deadline=None, max_examples=60)


def outcome(body: bytes, into: type[Message]) -> Message | str:
    """Returns what a body becomes, or what is said of it; anything but a BadRequest passes through."""
    try:
        return JSON.decode(body, into)
    except BadRequest as error:
        refused = error
    assert refused.reason == "CODEC"
    assert len(refused.message) < 20_000
    return refused.message


@by_type
def test_round_trip(type_: type[Message]) -> None:
    """What is written under any options is read again, by any other options."""

    @relaxed
    @given(messages_of(type_), OPTIONS, OPTIONS)
    def law(message: Message, writer: JsonOptions, reader: JsonOptions) -> None:
        assert JsonCodec(reader).decode(JsonCodec(writer).encode(message), type_) == message

    law()


@by_type
def test_unknown_keys_change_nothing(type_: type[Message]) -> None:
    """A body with an unknown key is read as without it: the fast way and the slow way agree."""

    @relaxed
    @given(messages_of(type_), json_values, st.booleans())
    def law(message: Message, unknown: object, first: bool) -> None:
        members = list(json.loads(JSON.encode(message)).items())
        members.insert(0 if first else len(members), ("added_tomorrow", unknown))
        assert JSON.decode(json.dumps(dict(members)).encode(), type_) == message

    law()


@by_type
def test_any_json(type_: type[Message]) -> None:
    """Right keys with any content are a message or a BadRequest; an unknown key does not change which."""
    keys = st.sampled_from([*shape(type_).named, "unknown"])

    @relaxed
    @given(st.dictionaries(keys, json_values | st.sampled_from([[{}], {"": {}}, {"1": None}, "1", [1.5], 1e400])))
    def law(content: dict[str, object]) -> None:
        body = json.dumps(content).replace("Infinity", "1e400").encode()
        plain, more = outcome(body, type_), outcome(body[:-1] + b"," * bool(content) + b'"more":1}', type_)
        assert plain == more or "NaN" in repr(plain)

    law()


@by_type
def test_mutated_json(type_: type[Message]) -> None:
    """Damaged bodies are a message or a BadRequest, never anything else."""
    pieces = st.sampled_from([b"{", b"}", b"[", b"]", b'"', b"\\", b"\\u", b"\\ud800", b",", b":", b"null", b"NaN",
                              b"-", b"1e999", b"9" * 25, b"\xff", b"\x00", b"true", b'"x":', b"", b" "])  # fmt: skip

    @relaxed
    @given(messages_of(type_), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4), pieces), min_size=1, max_size=4))
    def law(message: Message, damage: list[tuple[float, int, bytes]]) -> None:
        body = JSON.encode(message)
        for place, length, piece in damage:
            at = int(place * len(body))
            body = body[:at] + piece + body[at + length :]
        outcome(body, type_)

    law()


@settings(deadline=None)
@given(st.binary(max_size=100), st.sampled_from(TYPES))
def test_any_bytes(body: bytes, type_: type[Message]) -> None:
    """Bytes are a message or a BadRequest, never anything else."""
    outcome(body, type_)


@settings(deadline=None)
@given(st.text(alphabet='{}[]"\\,:1 \nu', max_size=400).map(lambda text: text * 30))
def test_any_brackets(text: str) -> None:
    """Heaps of brackets, quotes and backslashes are refused, whatever their order."""
    outcome(text.encode(), WellKnown)


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


@settings(deadline=None, max_examples=200)
@given(
    st.recursive(
        st.text(alphabet='[]{}"\\a', max_size=6),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('[]{}"\\', max_size=4), inner, max_size=2),
    ),
    st.booleans(),
)
def test_depth_is_exact(value: object, escape: bool) -> None:
    """The depth that is counted in the text is the depth of the value, whatever its strings hold."""
    from kratos.codec.jsontext import _depth as counted

    assert counted(json.dumps(value, ensure_ascii=escape).encode()) == _depth(value)


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet='{}[]":,\\ud8cefn01 -.e+tru', max_size=30) | json_values.map(json.dumps))
def test_parser_agrees_with_the_standard_library(text: str) -> None:
    """What the strict parser takes is what json.loads makes of it; it takes no more than that."""
    data = text.encode()
    with suppress(BadRequest):
        check_depth(data)
        assert parse(data) == json.loads(text)


def test_near_the_end_of_the_stack() -> None:
    """A caller that is deep in recursion gets a BadRequest for a deep body, too."""
    body = b'{"new":1,"left":' * 150 + b'{"name":5}' + b"}" * 150

    def deeper(levels: int) -> str:
        return deeper(levels - 1) if levels else str(outcome(body, Tree))

    frame, used = sys._getframe(), 0
    while frame is not None:
        frame, used = frame.f_back, used + 1
    answer = deeper(sys.getrecursionlimit() - used - 300)
    assert answer.startswith("the body is no fixture.codec.v1.Tree: ")
