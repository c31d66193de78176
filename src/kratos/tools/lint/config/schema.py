"""What is configured, against the message that says what may be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from kratos.config.base import Node
from kratos.config.keys import fold, join, nearest, parse, shown
from kratos.config.scalars import SCALARS, nanoseconds
from kratos.tools.codegen.survey import FieldFacts, Survey
from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.config.documents import Documents
from kratos.tools.lint.python.module import Module

__all__ = ["RULES", "find", "find_keys"]

UNKNOWN: Final = Rule(
    "KRC301",
    "unknown-key",
    "error",
    "A key of the configuration is none of its schema.",
    "It does nothing, or keeps the program from starting: most often it is misspelled.",
    "Correct it, or add it to the message.",
)
VALUE: Final = Rule(
    "KRC302",
    "wrong-value",
    "error",
    "A value is not what the schema wants.",
    "The program does not start, or a change of the file is refused.",
    "Write a value of the kind that the field has.",
)
UNIT: Final = Rule(
    "KRC303",
    "duration-without-unit",
    "error",
    "A duration has no unit.",
    "It is refused: 5 may mean seconds, milliseconds or, in Go, nanoseconds.",
    "Write 5s, 250ms or 1m30s.",
)
CODE: Final = Rule(
    "KRC306",
    "unknown-key-in-code",
    "error",
    "Code reads a key that the schema does not have.",
    "It can never be set: the default counts for ever, or the program fails where it is read.",
    "Correct the key, or add it to the message.",
    tests=False,
)
LIMITLESS: Final = Rule(
    "KRC307",
    "timeout-zero",
    "warning",
    "The time limit of a server is zero.",
    "A call that hangs is never given up: its caller has left long ago.",
    "Say how long, or leave the key out for the default.",
)
RULES: Final = (UNKNOWN, VALUE, UNIT, CODE, LIMITLESS)
"""The rules for what the schema says."""

_DURATION = "google.protobuf.Duration"
_FREE: Final = frozenset(
    {f"google.protobuf.{name}" for name in ("Struct", "Value", "ListValue", "Any", "Timestamp", "FieldMask")}
)
_KINDS: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {"bool": bool, "string": str, "bytes": bytes, "double": float, "float": float}
)
_CONFIG = re.compile(r"(?:^|_)(?:config|conf|cfg)$")


def find(documents: Documents, survey: Survey) -> Iterator[Finding]:
    """Yields what does not fit the schema, if there is one."""
    if documents.schema in survey.messages:
        walk = _Walk(survey)
        for name, root in documents.roots.items():
            yield from walk.message(name, root, documents.schema, "")


def find_keys(modules: Sequence[Module], documents: Documents, survey: Survey) -> Iterator[Finding]:
    """Yields keys that code reads and the schema does not have: of ``config.get(type, key)`` and ``config.live``."""
    if documents.schema not in survey.messages:
        return
    walk = _Walk(survey)
    for module in modules:
        for call in () if module.is_test else module.calls:
            node = call.node
            key = _read(node) if isinstance(node, ast.Call) else None
            if key is not None and (wrong := walk.missing(documents.schema, parse(key.value) or ())):
                yield module.at(CODE, key, f"{documents.schema} has no {key.value}{wrong}")


def _read(call: ast.Call) -> Any:
    """Returns the key that a call reads from a configuration, None if it reads none."""
    match call:
        case ast.Call(
            ast.Attribute(ast.Name(name) | ast.Attribute(attr=name), "get" | "live"), [_, ast.Constant() as key, *_]
        ):
            return key if isinstance(key.value, str) and key.value and _CONFIG.search(name) else None
        case _:
            return None


class _Walk:
    """Goes through nodes and messages side by side.

    Args:
        survey: The messages.
    """

    def __init__(self, survey: Survey) -> None:
        self._survey = survey

    def message(self, file: str, node: Node, name: str, path: str) -> Iterator[Finding]:
        """Yields what does not fit a message."""
        if node.mapping is None:
            if node.value is not None and not _open(node):
                yield _at(VALUE, file, node, f"{path}: {shown(node, path)} is not a mapping")
            return
        fields = self._fields(name)
        for key, below in node.mapping.items():
            field = fields.get(fold(key))
            here = join(path, key)
            if field is None:
                hint = nearest(key, [each.name for each in fields.values()])
                yield _at(UNKNOWN, file, below, f"{here}: no such key{hint}")
            elif below.value is not None and not _open(below):
                yield from self._field(file, below, field, here)

    def missing(self, name: str, segments: Sequence[str | int]) -> str | None:
        """Returns a hint if a path leads to no field of a message, None if it leads to one."""
        field: FieldFacts | None = None
        for segment in segments:
            if isinstance(segment, int):
                continue
            if field is not None:
                if field.mapped or field.type_name in _FREE:
                    return None
                name = field.type_name
            fields = self._fields(name)
            field = fields.get(fold(segment))
            if field is None:
                return nearest(segment, [each.name for each in fields.values()])
        return None

    def _fields(self, name: str) -> dict[str, FieldFacts]:
        message = self._survey.messages.get(name)
        return (
            {fold(each): field for field in message.fields.values() for each in (field.name, field.json_name)}
            if message
            else {}
        )

    def _field(self, file: str, node: Node, field: FieldFacts, path: str) -> Iterator[Finding]:
        if field.mapped:
            if node.mapping is None:
                yield _at(VALUE, file, node, f"{path}: {shown(node, path)} is not a mapping")
            for key, below in (node.mapping or {}).items():
                yield from self._element(file, below, field, join(path, key))
        elif field.repeated:
            if node.items is None and not str(node.value).lstrip().startswith("["):
                yield _at(VALUE, file, node, f"{path}: {shown(node, path)} is not a list")
            for at, below in enumerate(node.items or ()):
                yield from self._element(file, below, field, f"{path}[{at}]")
        else:
            yield from self._element(file, node, field, path)

    def _element(self, file: str, node: Node, field: FieldFacts, path: str) -> Iterator[Finding]:
        if _open(node) or field.type_name in _FREE:
            return
        if field.kind == "message" and field.type_name != _DURATION and not _wrapper(field):
            yield from self.message(file, node, field.type_name, path)
            return
        try:
            _convert(node, field)
        except ValueError as wrong:
            rule = UNIT if "no unit" in str(wrong) else VALUE
            yield _at(rule, file, node, f"{path}: {shown(node, path)} {wrong}")
            return
        if field.type_name == _DURATION and field.name == "timeout" and "server" in path and not nanoseconds(node):
            yield _at(LIMITLESS, file, node, f"{path}: 0 is no limit at all")


def _convert(node: Node, field: FieldFacts) -> None:
    """Raises ``ValueError`` for what is no value of a field."""
    if field.type_name == _DURATION:
        nanoseconds(node)
    elif field.kind == "enum":
        if not isinstance(node.value, int) and str(node.value) not in field.values:
            raise ValueError(f"is none of {', '.join(field.values)}")
    elif not _wrapper(field):
        SCALARS[_KINDS.get(field.kind, int)](node)


def _wrapper(field: FieldFacts) -> bool:
    return field.type_name.startswith("google.protobuf.") and field.type_name.endswith("Value")


def _open(node: Node) -> bool:
    """Tells whether a value is known only when the program runs."""
    return isinstance(node.value, str) and "${" in node.value


def _at(rule: Rule, file: str, node: Node, message: str) -> Finding:
    return rule.at(file, node.place.line, node.place.column or 1, message)
