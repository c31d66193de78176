"""Protobuf JSON: what ``application/json`` and ``application/protojson`` both mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeVar, cast

from protobuf import message_from_json_value

from kratos.codec.diagnose import DECODE_ERRORS, MAX_PROBLEMS, Diagnosis, report
from kratos.codec.jsontext import HARMLESS, JsonValue, check_depth, parse, refusal, syntax_error
from kratos.codec.jsonwalk import Doubts, Problem, doubts_about, may_clash, prune
from kratos.codec.messages import Message, Registry, full_name

__all__ = ["JsonCodec", "JsonOptions"]

M = TypeVar("M")


# Stands for a type that has not come by yet: whatever is not None has to be looked at.
_UNKNOWN = Doubts((), integer_keys=False)


@dataclass(frozen=True, slots=True)
class JsonOptions:
    """How messages look in JSON.

    Attributes:
        zero_values: Write fields that are zero. Unset messages, oneofs and ``optional`` fields are never written.
        names: ``json`` writes ``pageSize``, ``proto`` writes ``page_size``; both are read.
        enums: ``name`` writes ``"COLOR_RED"``, ``number`` writes ``1``; both are read.
        unknown: What to do with keys that the message does not have.
    """

    zero_values: bool = True
    names: Literal["json", "proto"] = "json"
    enums: Literal["name", "number"] = "name"
    unknown: Literal["ignore", "reject"] = "ignore"


class JsonCodec:
    """Protobuf JSON, as Kratos' ``protojson`` codec.

    64-bit integers are strings on the way out, strings or numbers on the way in. Unknown keys are ignored, an unknown
    enum name is refused with its place, an unknown enum number is kept. Of a key that comes twice the last one counts;
    two members of one oneof are refused. An empty body is an empty message.

    Args:
        options: How messages look.
        registry: The types that ``google.protobuf.Any`` may hold, and extensions.
    """

    __slots__ = ("_doubts", "_numbers", "_options", "_proto_names", "_registry", "_zeros")

    name = "json"
    content_types = ("application/json", "application/protojson")

    def __init__(self, options: JsonOptions | None = None, registry: Registry | None = None) -> None:
        self._options = options or JsonOptions()
        self._registry = registry
        # Filled as types come by, so it holds as many as the program has.
        self._doubts: dict[type[object], Doubts | None] = {}
        self._zeros = self._options.zero_values
        self._numbers = self._options.enums == "number"
        self._proto_names = self._options.names == "proto"

    @property
    def options(self) -> JsonOptions:
        """How messages look."""
        return self._options

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
            return into()
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
        message = cast("M", self._decode_value(value, into))
        self._audit(message, data)
        return message

    def _audit(self, message: object, data: bytes) -> None:
        """Refuses what the native decoder should have: oneofs that are set twice, integer keys out of range."""
        type_ = cast("type[Message]", type(message))
        if type_ not in self._doubts:
            self._doubts[type_] = doubts_about(type_, self._registry)
        doubts = self._doubts[type_]
        if doubts is None:
            return
        problems: list[Problem] = []
        if may_clash(data, doubts.oneofs):
            problems += prune(parse(data), type_, self._registry, drop=False)
        if doubts.integer_keys and not _in_range(cast("Message", message)):
            problems += islice(Diagnosis(self._registry, unknown=False).problems(parse(data), type_), MAX_PROBLEMS + 1)
        if problems:
            raise report(problems)

    def _decode_value(self, value: JsonValue, into: type[object]) -> Message:
        """Decodes what was refused as it stands: without unknown keys, or with an error that helps."""
        type_ = cast("type[Message]", into)  # It has from_json, as nothing else does.
        ignore = self._options.unknown == "ignore"
        refused = ""
        try:
            problems = list(prune(value, type_, self._registry, drop=ignore))
            if not problems:
                try:
                    return message_from_json_value(type_, value, registry=self._registry)
                except DECODE_ERRORS as error:
                    refused = str(error)
            found = Diagnosis(self._registry, unknown=not ignore).problems(value, type_)
            problems += islice(found, MAX_PROBLEMS + 1)
        except RecursionError as error:  # Nested deeper than messages may be, or near the end of the caller's stack.
            raise refusal(f"the body is no {full_name(type_)}: {error}") from None
        if problems:
            raise report(problems)
        raise refusal(f"the body is no {full_name(type_)}: {refused[:100]}")


def _in_range(message: Message) -> bool:
    """Tells whether all integers fit their fields: writing checks what reading did not."""
    try:
        message.to_binary()
    except OverflowError:
        return False
    except ValueError:  # A required field is unset, which is none of a decoder's business.
        pass
    return True
