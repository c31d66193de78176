"""Messages as the values that a JSON text stands for, and back: what JSON shares with every other text of that model.

YAML, XML and MessagePack write the same values in other clothes, so the rules (names, zeros, unknown keys, oneofs) and
the words for what is wrong are found here, once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeVar, cast

from protobuf import message_from_json_value, message_to_json_value

from kratos.codec.diagnose import DECODE_ERRORS, MAX_PROBLEMS, Diagnosis, report
from kratos.codec.jsontext import JsonValue, refusal
from kratos.codec.jsonwalk import Doubts, Problem, doubts_about, prune
from kratos.codec.messages import Message, Registry, full_name, is_message

__all__ = ["JsonOptions", "JsonValues"]

M = TypeVar("M")

# The number_value of a google.protobuf.Value in the binary form: an infinity or NaN.
_ENDLESS = re.compile(rb"\x11.{6}[\xf0-\xff][\x7f\xff]", re.DOTALL)


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


class JsonValues:
    """Turns messages into values and back.

    Args:
        options: How messages look.
        registry: The types that ``google.protobuf.Any`` may hold, and extensions.
        name: The codec that works with them, for error messages.

    Attributes:
        options: How messages look.
        registry: What it knows of ``google.protobuf.Any`` and extensions.
    """

    __slots__ = ("_doubts", "_name", "options", "registry")

    def __init__(
        self, options: JsonOptions | None = None, registry: Registry | None = None, *, name: str = "json"
    ) -> None:
        self.options = options or JsonOptions()
        self.registry = registry
        self._name = name
        # Filled as types come by, so it holds as many as the program has.
        self._doubts: dict[type[object], Doubts | None] = {}

    def dump(self, message: object) -> JsonValue:
        """Returns the values of a message.

        Raises:
            ValueError: A field holds what its type does not allow.
            TypeError: It is no message.
        """
        if not is_message(message):
            raise TypeError(f"the {self._name} codec writes protobuf-py messages, not {type(message).__name__}")
        return message_to_json_value(
            message,
            registry=self.registry,
            always_emit_implicit=self.options.zero_values,
            print_enums_as_ints=self.options.enums == "number",
            use_proto_field_name=self.options.names == "proto",
        )

    def readable(self, into: type[M]) -> type[Message]:
        """Returns a class as that of a message.

        Raises:
            TypeError: It is none.
        """
        if not issubclass(into, Message):
            raise TypeError(f"the {self._name} codec reads protobuf-py messages, not {into.__name__}")
        return cast("type[Message]", into)

    def load(self, value: JsonValue, into: type[M]) -> M:
        """Returns the message that values stand for; unknown keys are dropped from them, in place.

        Raises:
            BadRequest: They are none of that type; reason ``CODEC``, metadata ``field``.
            TypeError: ``into`` is no message class.
        """
        type_ = self.readable(into)
        ignore = self.options.unknown == "ignore"
        refused, misfit = "", False
        try:
            problems = list(prune(value, type_, self.registry, drop=ignore))
            if not problems:
                try:
                    message = message_from_json_value(type_, value, registry=self.registry)
                except DECODE_ERRORS as error:
                    refused = str(error)
                else:
                    doubts = self.doubts(type_)
                    if doubts is not None and doubts.contents:
                        problems += self.misfits(message, lambda: value)
                    misfit = bool(problems)
                    if not misfit:
                        return cast("M", message)
            if not misfit:
                found = Diagnosis(self.registry, unknown=not ignore).problems(value, type_)
                problems += islice(found, MAX_PROBLEMS + 1)
        except RecursionError as error:  # Nested deeper than messages may be, or near the end of the caller's stack.
            raise refusal(f"the body is no {full_name(type_)}: {error}") from None
        if problems:
            raise report(problems)
        raise refusal(f"the body is no {full_name(type_)}: {refused[:100]}")

    def doubts(self, type_: type[Message]) -> Doubts | None:
        """Returns what the native decoder lets pass in messages of a type, None for nothing."""
        if type_ not in self._doubts:
            self._doubts[type_] = doubts_about(type_, self.registry)
        return self._doubts[type_]

    def misfits(self, message: Message, value: Callable[[], JsonValue]) -> list[Problem]:
        """Returns wrong numbers and masks, found in ``value()``; writing checks what reading did not."""
        certain = True
        try:
            written = message.to_binary()
        except OverflowError:
            beyond = True
        except ValueError:  # A required field is unset, which is none of a decoder's business; but nobody has checked.
            beyond = False
        else:
            beyond = False
            certain = _ENDLESS.search(written) is not None
            doubts = self.doubts(type(message))
            if not certain and (doubts is None or doubts.masks is None):
                return []
        search = Diagnosis(self.registry, unknown=False)
        problems = list(islice(search.problems(value(), type(message)), MAX_PROBLEMS + 1))
        if not problems and (beyond or (certain and search.exhausted)):
            problems.append(Problem("", "a number in it is out of range"))
        return problems
