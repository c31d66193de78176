"""Encoders: messages as binary protobuf, texts and numbers as they are, all else as JSON of its type. Never pickle."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from kratos.cache.base import Encoder
from kratos.cache.plain import immutable, is_message, plain

__all__ = ["JsonEncoder", "ProtoEncoder", "RawEncoder", "encoder_for", "immutable"]

_RAW: Final[dict[Any, tuple[Callable[[Any], bytes], Callable[[bytes], Any]]]] = {
    bytes: (bytes, bytes),
    str: (str.encode, bytes.decode),
    int: (lambda value: b"%d" % value, int),
}


class RawEncoder:
    """A text, bytes or an integer, as they are.

    Args:
        kind: Which of them.

    Raises:
        TypeError: It is none of them.
    """

    __slots__ = ("_decode", "_encode", "_kind")
    form = "raw"

    def __init__(self, kind: Any) -> None:
        if kind not in _RAW:
            raise TypeError(f"raw is for str, bytes and int, and this is {kind}: leave the encoder out")
        self._kind = kind
        self._encode, self._decode = _RAW[kind]

    def encode(self, value: Any, /) -> bytes:
        """Writes a value; see ``Encoder``."""
        if not isinstance(value, self._kind):
            raise TypeError(f"a {type(value).__name__} instead of a {self._kind.__name__}")
        return self._encode(value)

    def decode(self, data: bytes, /) -> Any:
        """Reads a value; see ``Encoder``."""
        return self._decode(data)


class ProtoEncoder:
    """Messages in protobuf's binary form.

    Args:
        kind: The message class.

    Raises:
        TypeError: It is none.
    """

    __slots__ = ("_kind",)
    form = "proto"

    def __init__(self, kind: Any) -> None:
        if not is_message(kind):
            raise TypeError(f"proto is for protobuf messages, and {kind} is none: leave the encoder out")
        self._kind = kind

    def encode(self, value: Any, /) -> bytes:
        """Writes a message; see ``Encoder``."""
        if not isinstance(value, self._kind):
            raise TypeError(f"a {type(value).__name__} instead of a {self._kind.__name__}")
        data: bytes = value.to_binary()
        return data

    def decode(self, data: bytes, /) -> Any:
        """Reads a message; see ``Encoder``."""
        try:
            return self._kind.from_binary(data)
        except Exception as wrong:  # what the runtime raises is its own affair
            raise ValueError(f"what was kept does not fit: {wrong}") from None


class JsonEncoder:
    """Dataclasses, plain values and collections of these as JSON.

    Args:
        kind: Their type.

    Raises:
        TypeError: It has no form in JSON.
    """

    __slots__ = ("_plain",)
    form = "json"

    def __init__(self, kind: Any) -> None:
        self._plain = plain(kind)

    def encode(self, value: Any, /) -> bytes:
        """Writes a value; see ``Encoder``."""
        try:
            return json.dumps(self._plain.dump(value), ensure_ascii=False, separators=(",", ":")).encode()
        except AttributeError as wrong:  # a value of another type has no such field
            raise TypeError(str(wrong)) from None

    def decode(self, data: bytes, /) -> Any:
        """Reads a value; see ``Encoder``."""
        try:
            return self._plain.load(json.loads(data))
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as wrong:
            raise ValueError(f"what was kept does not fit: {wrong}") from None


def encoder_for(kind: Any) -> Encoder:
    """Returns the encoder of a type.

    Raises:
        TypeError: It has no form to keep; the message says what to do.
    """
    if kind in _RAW:
        return RawEncoder(kind)
    return ProtoEncoder(kind) if is_message(kind) else JsonEncoder(kind)
