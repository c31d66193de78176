"""Rules written in the proto (``buf.validate``), checked by protovalidate's engine.

The rules: https://protovalidate.com/schemas/standard-rules/; extra ``protovalidate``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kratos.errors import Violation

try:
    from protovalidate import CompilationError, EvaluationError, Validator
    from protovalidate import Violation as Found
except ImportError as missing:
    raise ImportError(
        'kratos.contrib.protovalidate needs protovalidate: pip install "kratos-py[protovalidate]"'
    ) from missing

__all__ = ["ProtoValidate"]


class ProtoValidate:
    """A check for ``validate()``: the rules that the proto states for the message and everything in it.

    Rules are compiled when a server is built, so one that cannot be followed stops it from starting.

    Example:
        ``App(middleware=[recovery(), validate(ProtoValidate())], ...)``
    """

    def __init__(self) -> None:
        self._validator = Validator()

    def prepare(self, message: type[Any]) -> None:
        """Compiles the rules of a message type.

        Raises:
            ValueError: A rule cannot be followed: it does not fit its field, or its expression is wrong.
        """
        try:
            self._validator.collect_violations(message())
        except CompilationError as failure:
            raise ValueError(f"the rules of {message.__name__} cannot be followed: {failure}") from failure
        except EvaluationError:  # an expression that an empty message is no match for; requests will tell
            pass

    def __call__(self, message: Any) -> Iterator[Violation]:
        """Yields everything that is wrong with a message, each with its path: ``lines[2].sku``, ``tags["a"]``."""
        for found in self._validator.collect_violations(message):
            yield Violation(_path(found), found.proto.message or found.proto.rule_id, found.proto.rule_id)


def _path(found: Found) -> str:
    """Returns the path of a field in the notation of protovalidate's own messages."""
    path = ""
    for element in found.proto.field.elements if found.proto.field else ():
        path += f".{element.field_name}" if path else element.field_name
        if element.subscript is not None:
            path += f"[{_subscript(element.subscript.field, element.subscript.value)}]"
    return path


def _subscript(kind: str, value: object) -> str:
    if kind == "string_key":
        return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value).lower() if kind == "bool_key" else str(value)
