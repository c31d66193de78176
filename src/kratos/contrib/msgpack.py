"""MessagePack with the values of protobuf JSON, by the ``msgpack`` library: ``pip install kratos-py[msgpack]``.

Two things are as MessagePack has them and not as JSON: bytes are ``bin``, and 64-bit integers are integers. All else is
what JSON says: names, enums by name, times and durations as texts, the keys of maps as strings. On the way in the forms
of JSON are read as well.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any, Final, TypeVar

from kratos.cache.plain import plain
from kratos.codec.json import JsonOptions
from kratos.codec.jsontext import MAX_DEPTH, refusal
from kratos.codec.jsonvalues import JsonValues
from kratos.codec.jsonwalk import convert, is_list, is_object, spell
from kratos.codec.messages import Kind, Registry, blank

try:
    import msgpack
except ImportError as missing:
    raise ImportError("kratos.contrib.msgpack needs a library: pip install 'kratos-py[msgpack]'") from missing

__all__ = ["MsgpackCodec", "MsgpackEncoder"]

_library: Any = msgpack  # it has no types

M = TypeVar("M")

_LONG: Final = frozenset({"int64", "uint64"})
_FLOATS: Final = frozenset({"float", "double"})


class MsgpackCodec:
    """Messages as MessagePack; see the module. Not among the default codecs: pass it to a server or client.

    Args:
        options: How messages look, as in JSON.
        registry: The types that ``google.protobuf.Any`` may hold, and extensions.

    Example:
        ``HTTPServer(codecs=DEFAULT_CODECS.with_(MsgpackCodec()))``
    """

    __slots__ = ("_values",)

    name = "msgpack"
    content_types = ("application/msgpack", "application/x-msgpack", "application/vnd.msgpack")

    def __init__(self, options: JsonOptions | None = None, registry: Registry | None = None) -> None:
        self._values = JsonValues(options, registry, name=self.name)

    def encode(self, message: object, /) -> bytes:
        """Writes a message; see ``Codec.encode``."""
        value = self._values.dump(message)
        type_ = self._values.readable(type(message))
        packed: bytes = _library.packb(convert(value, type_, self._values.registry, _out))
        return packed

    def decode(self, data: bytes, into: type[M], /) -> M:
        """Reads a message; see ``Codec.decode``."""
        type_ = self._values.readable(into)
        if not data:
            return blank(into)()
        try:
            value: Any = _library.unpackb(data, strict_map_key=False, object_pairs_hook=_members, ext_hook=_extension)
        except (ValueError, RecursionError, _library.UnpackException) as error:  # all of its own are one of these
            raise refusal(f"the body is not MessagePack: {str(error)[:100] or type(error).__name__}") from None
        return self._values.load(_plain(convert(value, type_, self._values.registry, _in), 1), into)


class MsgpackEncoder:
    """Cached values as MessagePack: shorter than JSON, and as typed.

    Args:
        kind: Their type: a dataclass, plain values, collections of these.

    Raises:
        TypeError: It has no plain form.

    Example:
        ``@cached("user:{id}", ttl=60, encoder=MsgpackEncoder(User))``
    """

    __slots__ = ("_plain",)

    form = "msgpack"

    def __init__(self, kind: Any) -> None:
        self._plain = plain(kind)

    def encode(self, value: Any, /) -> bytes:
        """Writes a value; see ``kratos.cache.Encoder``."""
        try:
            packed: bytes = _library.packb(self._plain.dump(value))
        except (AttributeError, OverflowError) as wrong:  # another type; an integer of more than 64 bits
            raise TypeError(str(wrong)) from None
        return packed

    def decode(self, data: bytes, /) -> Any:
        """Reads a value; see ``kratos.cache.Encoder``."""
        try:
            return self._plain.load(_library.unpackb(data, strict_map_key=False))
        except Exception as wrong:  # the library has many kinds, and so have values that do not fit
            raise ValueError(f"what was kept does not fit: {wrong}") from None


def _out(kind: Kind, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if kind == "bytes":
        return b64decode(value)
    if kind in _FLOATS:
        return float(value)  # NaN and the infinities
    return int(value) if kind in _LONG else value


def _in(kind: Kind, value: Any) -> Any:
    if isinstance(value, bytes):
        if kind != "bytes":
            raise refusal(f"a field of type {kind} cannot be bin")
        return b64encode(value).decode("ascii")
    return spell(kind, value)


def _members(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    if not all(isinstance(key, str) for key, _ in pairs):
        raise ValueError("a key must be a string")
    return dict(pairs)


def _extension(code: int, _: bytes) -> Any:
    raise refusal(f"the body is not MessagePack of these messages: extension type {code} is not known here")


def _plain(value: Any, depth: int) -> Any:
    """Returns what JSON has a value for, also where no field says what it is: in a Struct, or under an unknown key."""
    if depth > MAX_DEPTH:
        raise refusal(f"the body is nested deeper than {MAX_DEPTH} levels")
    if is_object(value):
        return {key: _plain(element, depth + 1) for key, element in value.items()}
    if is_list(value):
        return [_plain(element, depth + 1) for element in value]
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    if isinstance(value, _library.Timestamp):
        return _extension(-1, b"")
    return value
