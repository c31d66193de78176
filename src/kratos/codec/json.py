"""Protobuf JSON: what ``application/json`` and ``application/protojson`` both mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar, cast

from kratos.codec.diagnose import DECODE_ERRORS, report
from kratos.codec.jsontext import HARMLESS, check_depth, parse, syntax_error
from kratos.codec.jsonvalues import JsonOptions, JsonValues
from kratos.codec.jsonwalk import Doubts, Problem, may_clash, may_exceed, prune
from kratos.codec.messages import Message, Registry, blank

__all__ = ["JsonCodec", "JsonOptions"]

M = TypeVar("M")

# Stands for a type that has not come by yet: whatever is not None has to be looked at.
_UNKNOWN = Doubts()


class JsonCodec:
    """Protobuf JSON, as Kratos' ``protojson`` codec.

    64-bit integers are strings on the way out, strings or numbers on the way in. Unknown keys are ignored, an unknown
    enum name is refused with its place, an unknown enum number within int32 is kept. A ``google.protobuf.Value`` holds
    no infinity, which JSON could not write back. Of a key that comes twice the last one counts; two members of one
    oneof are refused. An empty body is an empty message, and a Value that is null.

    Args:
        options: How messages look.
        registry: The types that ``google.protobuf.Any`` may hold, and extensions.
    """

    __slots__ = ("_doubts", "_numbers", "_proto_names", "_registry", "_values", "_zeros")

    name = "json"
    content_types = ("application/json", "application/protojson")

    def __init__(self, options: JsonOptions | None = None, registry: Registry | None = None) -> None:
        self._values = JsonValues(options, registry)
        self._registry = registry
        # Filled as types come by, so it holds as many as the program has.
        self._doubts: dict[type[object], Doubts | None] = {}
        options = self._values.options
        self._zeros = options.zero_values
        self._numbers = options.enums == "number"
        self._proto_names = options.names == "proto"

    @property
    def options(self) -> JsonOptions:
        """How messages look."""
        return self._values.options

    def with_options(self, options: JsonOptions) -> JsonCodec:
        """Returns a codec that knows the same types and writes otherwise."""
        return JsonCodec(options, self._registry)

    def encode(self, message: object, /) -> bytes:
        """Writes a message; see ``Codec.encode``."""
        if not isinstance(message, Message):
            raise TypeError(f"the json codec writes protobuf-py messages, not {type(message).__name__}")
        return message.to_json(
            registry=self._registry,
            always_emit_implicit=self._zeros,
            print_enums_as_ints=self._numbers,
            use_proto_field_name=self._proto_names,
        ).encode()

    def decode(self, data: bytes, into: type[M], /) -> M:
        """Reads a message; see ``Codec.decode``.

        The error's metadata holds ``field``, the place of the first problem such as ``items[3].color``, or ``line`` and
        ``column`` where the text is not JSON.
        """
        read: Callable[..., M] | None = getattr(into, "from_json", None)
        if read is None:
            raise TypeError(f"the json codec reads protobuf-py messages, not {into.__name__}")
        if not data:
            return blank(into)()
        if len(data) > HARMLESS:
            check_depth(data, HARMLESS)
        broken: json.JSONDecodeError | None = None
        try:
            message = read(data, registry=self._registry)
        except json.JSONDecodeError as error:
            broken = error
        except DECODE_ERRORS:
            pass
        else:
            doubts = self._doubts.get(into, _UNKNOWN)
            if doubts is not None:
                self._audit(message, data)
            return message
        # Strict is fast, and most bodies have no unknown keys; what it refused takes the long way.
        value = parse(data)
        if broken is not None:  # The native parser is the stricter one.
            raise syntax_error(broken)
        return self._values.load(value, into)

    def _audit(self, message: object, data: bytes) -> None:
        """Refuses what the native decoder should have: oneofs that are set twice, numbers out of range."""
        type_ = cast("type[Message]", type(message))
        doubts = self._doubts[type_] = self._values.doubts(type_)
        if doubts is None:
            return
        problems: list[Problem] = []
        if may_clash(data, doubts.oneofs):
            problems += prune(parse(data), type_, self._registry, drop=False)
        if may_exceed(data, doubts):
            problems += self._values.misfits(cast("Message", message), lambda: parse(data))
        if problems:
            raise report(problems)
