"""The binary codec."""

from __future__ import annotations

from contextlib import suppress

import pytest
from fixtures.gen.fixture.codec.v1.everything_pb import Everything, Scalars, Tree
from fixtures.gen.fixture.codec.v1.legacy_pb import Legacy
from fixtures.gen.fixture.codec.v1.modern_pb import Modern
from google.protobuf import timestamp_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import messages_of

from kratos.codec import ProtoCodec
from kratos.codec.messages import Message
from kratos.errors import BadRequest

PROTO = ProtoCodec()


@pytest.mark.parametrize("type_", [Everything, Legacy, Modern], ids=lambda t: t.__name__)
def test_round_trip(type_: type[Message]) -> None:
    """What is written is read again, whatever the message."""

    @settings(deadline=None, max_examples=60)
    @given(messages_of(type_))
    def law(message: Message) -> None:
        assert PROTO.decode(PROTO.encode(message), type_) == message

    law()


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Bytes are a message or a BadRequest, never anything else."""
    with suppress(BadRequest):
        assert isinstance(PROTO.decode(data, Everything), Everything)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x72\x05ab", "unexpected end of buffer"),
        (b"\x72\x01\xff", "utf-8"),
        (b"\xff" * 12, "invalid varint"),
        (b"\x0b" * 1_000_000, "recursion depth"),
    ],
)
def test_what_cannot_be_read(data: bytes, what: str) -> None:
    """The error names the type and what is wrong, in little space."""
    with pytest.raises(BadRequest, match=what) as raised:
        PROTO.decode(data, Scalars)
    assert raised.value.message.startswith("the body is no Scalars in protobuf's binary form: ")
    assert raised.value.reason == "CODEC"
    assert len(raised.value.message) < 200
    assert raised.value.__suppress_context__


def test_nested_too_deep() -> None:
    """Messages nested deeper than protobuf allows are refused."""
    data = b""
    for _ in range(40):
        data = b"\x12" + bytes([len(data)]) + data if len(data) < 128 else data
    deep = Tree()
    for _ in range(150):
        deep = Tree(left=deep)
    assert isinstance(PROTO.decode(data, Tree), Tree)
    with pytest.raises(RecursionError):
        PROTO.encode(deep)


def test_nothing_is_an_empty_message() -> None:
    """No bytes are a message with nothing set."""
    assert PROTO.decode(b"", Scalars) == Scalars()


def test_messages_of_the_other_runtime() -> None:
    """Messages of google's runtime are written and read, and refused in the same way."""
    stamp = timestamp_pb2.Timestamp(seconds=5)
    assert PROTO.decode(PROTO.encode(stamp), timestamp_pb2.Timestamp) == stamp
    with pytest.raises(BadRequest, match="the body is no Timestamp in protobuf's binary form"):
        PROTO.decode(b"\xff", timestamp_pb2.Timestamp)


def test_what_is_no_message() -> None:
    """Other types are a defect of the program, not of the peer."""
    with pytest.raises(TypeError, match="not str"):
        PROTO.encode("text")
    with pytest.raises(TypeError, match="not int"):
        PROTO.decode(b"", int)


def test_wrong_values_are_the_callers_fault() -> None:
    """A field of the wrong type is no BadRequest."""
    with pytest.raises(TypeError):
        PROTO.encode(Scalars(an_int32="x"))  # type: ignore[arg-type]
