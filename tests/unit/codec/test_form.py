"""The codec of forms."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.gen.fixture.codec.v1.everything_pb import Choice, Color, Everything, Item, Lists, Maps, Optionals, Scalars
from fixtures.gen.fixture.codec.v1.everything_pb import WellKnown as Known
from hypothesis import given
from protobuf.wkt import BoolValue, BytesValue, Duration, FieldMask, Timestamp
from strategies import messages_of
from unit.codec.test_formwalk import formable

from kratos.codec import DEFAULT_CODECS
from kratos.codec.form import FormCodec
from kratos.codec.messages import Message
from kratos.errors import BadRequest
from kratos.wire.errors.errors_pb import Status

FORM = FormCodec()


def test_what_it_is_called() -> None:
    """It is found by its content type, and by Kratos' name for it, once a server has it; not before."""
    codecs = DEFAULT_CODECS.with_(FORM)
    for content_type in ("application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=UTF-8"):
        assert codecs.for_request(content_type) is FORM
        assert DEFAULT_CODECS.for_request(content_type) is None


@pytest.mark.parametrize(
    ("message", "written"),
    [
        (Everything(), ""),
        (Everything(page_size=2233), "pageSize=2233"),
        (
            Everything(scalars=Scalars(a_string="go kratos", a_bool=True, a_bytes=b"123", a_float=12.5)),
            "scalars.aBool=true&scalars.aBytes=MTIz&scalars.aFloat=12.5&scalars.aString=go+kratos",
        ),
        (Everything(lists=Lists(strings=["5566", "3344"])), "lists.strings=5566&lists.strings=3344"),
        (Everything(maps=Maps(numbers={"z": 2, "a": 1})), "maps.numbers%5Ba%5D=1&maps.numbers%5Bz%5D=2"),
        (Everything(well_known=Known(bool_value=BoolValue())), "wellKnown.boolValue=false"),
        (Everything(well_known=Known(bytes_value=BytesValue(value=b"\xff\xef"))), "wellKnown.bytesValue=%2F%2B8%3D"),
        (Everything(well_known=Known(span=Duration(seconds=120, nanos=22))), "wellKnown.span=120.000000022s"),
        (
            Everything(well_known=Known(time=Timestamp(seconds=20, nanos=2))),
            "wellKnown.time=1970-01-01T00%3A00%3A20.000000002Z",
        ),
        (Everything(well_known=Known(mask=FieldMask(paths=["a", "b_c"]))), "wellKnown.mask=a%2Cb_c"),
        (
            Everything(optionals=Optionals(a_string="", a_color=Color.RED)),
            "optionals.aColor=COLOR_RED&optionals.aString=",
        ),
        (Status(code=404, reason="R", metadata={"k": "v"}), "code=404&metadata%5Bk%5D=v&reason=R"),
    ],
)
def test_written(message: Message, written: str) -> None:
    """Populated fields by JSON names, sorted and escaped; times in UTC, standard base64, durations in seconds."""
    assert FORM.encode(message) == written.encode()
    assert FORM.decode(written.encode(), type(message)) == message


@pytest.mark.parametrize(
    ("data", "told", "field"),
    [
        (b"page_size=x", "form field page_size: expected an integer, not 'x'", "page_size"),
        (b"scalars.a_string=%ff", "the body is not UTF-8", None),
        (b"scalars.a_string=\xff", "the body is not UTF-8", None),
        (b"&".join([b"a=1"] * 10_001), "the body has more than 10000 parameters", None),
        (b"wellKnown.time=null", "form field wellKnown.time: expected a time", "wellKnown.time"),
    ],
)
def test_refused(data: bytes, told: str, field: str | None) -> None:
    """What cannot be read is a 400 that names the field as it came."""
    with pytest.raises(BadRequest, match=told) as refused:
        FORM.decode(data, Everything)
    assert refused.value.reason == "CODEC"
    assert refused.value.metadata.get("field") == field


def test_raw_text() -> None:
    """Bytes that nobody escaped are UTF-8."""
    assert FORM.decode("scalars.a_string=café".encode(), Everything).scalars == Scalars(a_string="café")


def test_strict() -> None:
    """Names that mean nothing are ignored, unless one minds."""
    assert FORM.decode(b"nope=1", Everything) == Everything()
    with pytest.raises(BadRequest, match="form field nope: fixture.codec.v1.Everything has no such field"):
        FormCodec(unknown="reject").decode(b"nope=1", Everything)


@pytest.mark.parametrize(
    "message", [Everything(choices=[Choice()]), Everything(maps=Maps(items={"a": Item()})), Lists(items=[Item()])]
)
def test_what_has_no_form(message: Message) -> None:
    """Lists and maps of messages cannot be written, and are not left out in silence."""
    with pytest.raises(ValueError, match="holds messages"):
        FORM.encode(message)


def test_no_messages() -> None:
    """Only messages are read and written."""
    nonsense: Any = "x"
    with pytest.raises(TypeError, match="writes protobuf-py messages, not str"):
        FORM.encode(nonsense)
    with pytest.raises(TypeError, match="reads protobuf-py messages, not str"):
        FORM.decode(b"", str)


@given(messages_of(Everything, depth=2).map(formable))
def test_messages_come_back(message: Everything) -> None:
    """Whatever a form can say is read as it was written."""
    assert FORM.decode(FORM.encode(message), Everything) == message
