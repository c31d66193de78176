"""Text to field values."""

from __future__ import annotations

import math
from typing import Any

import pytest
from fixtures.gen.fixture.codec.v1.everything_pb import Optionals

from kratos.codec.messages import Field, shape
from kratos.transport.http.scalar import parse


def field_of(kind: str) -> Field:
    return next(field for field in shape(Optionals).fields if field.kind == kind and field.singular)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", "", ""),
        ("string", "a=b&c", "a=b&c"),
        ("bool", "true", True),
        ("bool", "F", False),
        ("bool", "1", True),
        ("int32", "-2147483648", -(2**31)),
        ("int64", "9223372036854775807", 2**63 - 1),
        ("uint32", "4294967295", 2**32 - 1),
        ("uint64", "18446744073709551615", 2**64 - 1),
        ("double", "1.5", 1.5),
        ("double", "-.5e3", -500.0),
        ("double", "Infinity", math.inf),
        ("double", "-Inf", -math.inf),
        ("bytes", "_-8=", b"\xff\xef"),
        ("bytes", "/+8=", b"\xff\xef"),
        ("bytes", "/+8", b"\xff\xef"),
        ("bytes", "", b""),
    ],
)
def test_parse(kind: str, text: str, value: Any) -> None:
    """Every kind understands what Go, browsers and people write."""
    assert parse(field_of(kind), text) == value


def test_nan() -> None:
    """NaN is a number here."""
    assert math.isnan(parse(field_of("double"), "NaN"))


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("bool", "yes", "true or false"),
        ("int32", "2147483648", "out of range for int32"),
        ("uint32", "-1", "out of range for uint32"),
        ("int64", "1.0", "an integer"),
        ("int64", "", "an integer"),
        ("int64", "1_0", "an integer"),
        ("int64", "٣", "an integer"),
        ("double", "1,5", "a number"),
        ("double", "nan", "a number"),
        ("bytes", "a", "base64"),
        ("bytes", "a*b=", "base64"),
        ("message", "x", "cannot be written"),
    ],
)
def test_refuse(kind: str, text: str, message: str) -> None:
    """What is no such value says what was expected."""
    with pytest.raises(ValueError, match=message):
        parse(field_of(kind), text)


def test_enums() -> None:
    """Enums are read by name and by number; an open enum keeps unknown numbers."""
    field = field_of("enum")
    assert field.enum is not None
    number, name = next((number, name) for number, name in field.enum.names.items() if number)
    assert parse(field, name) == parse(field, str(number)) == number
    assert parse(field, "12345") == 12345
    with pytest.raises(ValueError, match="expected one of"):
        parse(field, "NO_SUCH_NAME")
    with pytest.raises(ValueError, match="out of range"):
        parse(field, "99999999999")
