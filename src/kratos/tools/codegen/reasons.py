"""Writes ``*_errors.py``: a class for every enum value that has a code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from protobuf import DescEnum, DescEnumValue, DescFile, DescMessage
from protobuf.plugin import File, Module

from kratos.errors import error_class
from kratos.tools.codegen.literals import row
from kratos.tools.codegen.names import error_class_name
from kratos.tools.codegen.options import Options
from kratos.tools.codegen.prose import docstring
from kratos.tools.codegen.sources import Problems, Sources

__all__ = ["Reason", "check_reasons", "reasons", "write_errors"]

_ERRORS = Module("kratos.errors")


@dataclass(frozen=True, slots=True)
class Reason:
    """An enum value with a code.

    Attributes:
        value: The enum value; its name is the reason on the wire.
        name: The class.
        code: The HTTP status.
    """

    value: DescEnumValue
    name: str
    code: int


def reasons(file: DescFile, options: Options) -> list[Reason]:
    """Returns the enum values of a file that have a code, in order."""
    found: list[Reason] = []
    for enum in _enums(file):
        default = options.of(enum.proto.options).get("errors.default_code", 0)
        for value in enum.values:
            code = options.of(value.proto.options).get("errors.code", 0) or default
            if isinstance(code, int) and code:
                found.append(Reason(value, error_class_name(enum.name, value.name), code))
    return found


def _enums(scope: DescFile | DescMessage) -> Iterable[DescEnum]:
    """Yields the enums of a scope, nested ones last."""
    yield from scope.enums if isinstance(scope, DescFile) else scope.nested_enums
    for message in scope.messages if isinstance(scope, DescFile) else scope.nested_messages:
        yield from _enums(message)


def check_reasons(found: Sequence[Reason], sources: Sources, problems: Problems) -> None:
    """Notes codes that no error can have, and values that would share a class."""
    named: dict[str, Reason] = {}
    for reason in found:
        place = sources.place(reason.value)
        if not 400 <= reason.code <= 599:
            problems.add(
                place,
                f"{reason.value.name} has code {reason.code}: an error's code is an HTTP status from 400 to 599 "
                "(0 or no code: not an error)",
            )
        first = named.setdefault(reason.name, reason)
        if first is not reason:
            problems.add(
                place,
                f"{reason.value.name} and {first.value.name} ({sources.place(first.value)}) both become the class "
                f"{reason.name}: rename one",
            )


def write_errors(out: File, found: Sequence[Reason], sources: Sources, width: int) -> None:
    """Writes the module of a file's errors."""
    for reason in found:
        parent = error_class(reason.code)
        with out.scope("class ", out.ident(reason.name), "(", _ERRORS.ident(parent.__name__), "):"):
            said = sources.comment(reason.value)
            fallback = f"{reason.code}: {reason.value.name}."
            for line in docstring(said, 4, width, deprecated=reason.value.deprecated, otherwise=fallback):
                out.print(line)
            out.print()
            out.print(f'reason = "{reason.value.name}"')
            if parent.code != reason.code:
                out.print(f"code = {reason.code}")
        out.print()
        out.print()
    classes = [out.ident(reason.name) for reason in found]
    out.print("ERRORS: tuple[type[", _ERRORS.ident("Error"), "], ...] = ", row(classes))
