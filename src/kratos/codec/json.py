"""Protobuf JSON: what ``application/json`` and ``application/protojson`` both mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeVar, cast

from protobuf import message_from_json_value

from kratos.codec.diagnose import DECODE_ERRORS, MAX_PROBLEMS, Diagnosis, report
from kratos.codec.jsontext import MAX_DEPTH, check_depth, parse, refusal, syntax_error
from kratos.codec.jsonwalk import Members, may_clash, oneofs_below, prune
from kratos.codec.messages import Message, Registry, full_name

__all__ = ["JsonCodec", "JsonOptions"]

M = TypeVar("M")


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

    __slots__ = ("_numbers", "_oneofs", "_options", "_proto_names", "_registry", "_zeros")

    name = "json"
    content_types = ("application/json", "application/protojson")

    def __init__(self, options: JsonOptions | None = None, registry: Registry | None = None) -> None:
        self._options = options or JsonOptions()
        self._registry = registry
        # Filled as types come by, so it holds as many as the program has.
        self._oneofs: dict[type[object], tuple[Members, ...]] = {}
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
        if len(data) > MAX_DEPTH:
            check_depth(data)
        try:
            message = read(data, registry=self._registry)
        except json.JSONDecodeError as error:
            parse(data)  # The stricter of the two tells it better, if it minds too.
            raise syntax_error(error) from None
        except DECODE_ERRORS:
            # Strict is fast, and most bodies have no unknown keys. The others take the long way.
            return cast("M", self._decode_slowly(data, _messages_of(into)))
        oneofs = self._oneofs.get(into)
        if oneofs is None or (oneofs and may_clash(data, oneofs)):
            self._audit(data, _messages_of(into))
        return message

    def _audit(self, data: bytes, into: type[Message]) -> None:
        """Refuses a body that sets a oneof twice, which the native decoder does not mind."""
        if into not in self._oneofs:
            self._oneofs[into] = oneofs_below(into, self._registry)
        if may_clash(data, self._oneofs[into]):
            problems = list(prune(parse(data), into, self._registry, drop=False))
            if problems:
                raise report(problems)

    def _decode_slowly(self, data: bytes, into: type[Message]) -> Message:
        """Decodes what was refused as it stands: without unknown keys, or with an error that helps."""
        value = parse(data)
        ignore = self._options.unknown == "ignore"
        problems = list(prune(value, into, self._registry, drop=ignore))
        refused = ""
        if not problems:
            try:
                return message_from_json_value(into, value, registry=self._registry)
            except DECODE_ERRORS as error:
                refused = str(error)
        try:
            problems.extend(islice(Diagnosis(self._registry, unknown=not ignore).problems(value, into), MAX_PROBLEMS))
        except RecursionError as error:  # Nested deeper than messages may be; there is nothing more to find.
            refused = str(error)
        if problems:
            raise report(problems)
        raise refusal(f"the body is no {full_name(into)}: {refused[:100]}")


def _messages_of(into: type[object]) -> type[Message]:
    """Says to the type checker what ``from_json`` has proved: nothing else is called so."""
    return cast("type[Message]", into)
