"""Values come back as they were, are told apart, and are nobody else's."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, NewType, TypedDict

import pytest
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply

from kratos.cache import JsonEncoder, ProtoEncoder, RawEncoder
from kratos.cache.encode import encoder_for, immutable
from kratos.contrib.msgpack import MsgpackEncoder

Number = NewType("Number", int)


class Kind(enum.Enum):
    A = "a"
    B = 2


class Pair(NamedTuple):
    one: int
    two: dt.date


class Loose(TypedDict, total=False):
    when: dt.datetime


@dataclasses.dataclass
class Node:
    name: str
    children: list[Node] = dataclasses.field(default_factory=list["Node"])
    kind: Kind = Kind.A
    total: int = dataclasses.field(default=0, init=False)


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Half:
    items: list[int]


NOW = dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
NODE = Node("a", [Node("b", kind=Kind.B)])
NODE.children[0].total = 7

CASES: list[tuple[Any, Any, str, bool]] = [
    (int, 10**30, "raw", True), (str, "ü\x00", "raw", True), (bytes, b"\x00\xff", "raw", True),
    (bool, True, "json", True), (float, 1.5, "json", True), (int | None, 3, "json", True),
    (Kind, Kind.B, "json", True), (dt.datetime, NOW, "json", True), (dt.date, NOW.date(), "json", True),
    (dt.time, NOW.time(), "json", True), (dt.timedelta, dt.timedelta(days=1, microseconds=1), "json", True),
    (decimal.Decimal, decimal.Decimal("1.10"), "json", True), (uuid.UUID, uuid.UUID(int=5), "json", True),
    (Literal["a", 1], 1, "json", True), (Number, Number(4), "json", True), (Annotated[str, "x"], "t", "json", True),
    (tuple[int, str], (1, "a"), "json", True), (tuple[int, ...], (1, 2), "json", True),
    (Pair, Pair(1, NOW.date()), "json", True),
    (frozenset[int], frozenset({1, 2}), "json", True), (Point, Point(1, (2.5,)), "json", True),
    (Half, Half([1]), "json", False),
    (Node, NODE, "json", False), (list[Node], [NODE], "json", False), (Sequence[int], [1], "json", False),
    (set[str], {"a"}, "json", False), (dict[str, Point], {"a": Point(1)}, "json", False),
    (Mapping[int, str], {1: "a"}, "json", False), (Loose, {"when": NOW}, "json", False),
    (str | int | None, "a", "json", True),
    (list[HelloReply], [HelloReply(message="m")], "json", False), (dict[Any, Any], {"a": [1, None]}, "json", False),
    (HelloReply, HelloReply(message="m"), "proto", False), (list[bytes], [b"\xff"], "json", False),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "form", "shared"), CASES)
def test_values_come_back(kind: Any, value: Any, form: str, shared: bool) -> None:
    encoder = encoder_for(kind)
    assert encoder.form == form
    again = encoder.decode(encoder.encode(value))
    assert again == value
    assert type(again) is type(value)
    assert immutable(kind) is shared
    if not shared:
        assert again is not value


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, value, form, _ in CASES if form == "json"])
def test_in_messagepack(kind: Any, value: Any) -> None:
    encoder = MsgpackEncoder(kind)
    assert (encoder.form, encoder.decode(encoder.encode(value))) == ("msgpack", value)


def test_other_versions_of_a_dataclass() -> None:
    """What is new has its default, what is gone is left out."""
    assert JsonEncoder(Node).decode(b'{"name":"a","gone":1}') == Node("a")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Node, b"[]"), (Node, b"{}"), (Node, b"{"), (int | None, b'"1"'), (list[int], b'{"a":1}'), (Kind, b'"z"'),
        (bool, b"1"), (str | int, b"1.5"), (tuple[int, str], b"[1]"), (decimal.Decimal, b'"x"'), (dt.date, b'"x"'),
        (dict[int, int], b'{"1":1}'), (bytes | None, b'"*"'),
    ],
)  # fmt: skip
def test_what_does_not_fit(kind: Any, data: bytes) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        JsonEncoder(kind).decode(data)


def test_strangers() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        ProtoEncoder(HelloReply).decode(b"\xff")
    with pytest.raises(ValueError, match="does not fit"):
        MsgpackEncoder(int).decode(b"\xc1")
    for wrong in (
        lambda: ProtoEncoder(int), lambda: RawEncoder(float), lambda: RawEncoder(int).encode("1"),
        lambda: ProtoEncoder(HelloReply).encode("m"), lambda: JsonEncoder(Node).encode(1),
        lambda: MsgpackEncoder(Node).encode(1), lambda: MsgpackEncoder(int).encode(2**80),
    ):  # fmt: skip
        with pytest.raises(TypeError):
            wrong()


class Opaque: ...


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Opaque, "a Opaque has no form to keep"),
        (list[Opaque], r"list\[.*Opaque\]\[\]: a Opaque has no form"),
        (Point | Half, "may be one of several types, Point or Half"),
        (int | float, "may be one of several types"),
        ("text", "has no form to keep"),
    ],
)
def test_types_without_a_form(kind: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        JsonEncoder(kind)
