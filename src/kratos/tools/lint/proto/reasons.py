"""Error reasons: what a client tells errors apart by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kratos.tools.codegen.survey import Reason, Survey
from kratos.tools.lint.base import Finding, Rule

__all__ = ["RULES", "find"]

CODE: Final = Rule(
    "KRP108",
    "error-code",
    "error",
    "The code of an error is no HTTP status of an error.",
    "Code cannot be generated from it: an error that says 200 is none.",
    "Use 400 to 599; 0, or no code, means that the value is no error.",
)
UNIQUE: Final = Rule(
    "KRP109",
    "reason-not-unique",
    "error",
    "Two error enums have a value of the same name.",
    "The name is the reason on the wire, and all that a client has: it takes one error for the other.",
    "Rename one of them, for instance after its resource. Versions of one package may share reasons.",
)
CODELESS: Final = Rule(
    "KRP110",
    "reason-without-code",
    "warning",
    "A value of an error enum has no code.",
    "No class is generated for it, so nobody can raise it.",
    "Give it (errors.code), or the enum (errors.default_code).",
)
RULES: Final = (CODE, UNIQUE, CODELESS)
"""The rules for error reasons."""

_VERSION = re.compile(r"\.v\d+\w*$")


def find(survey: Survey) -> Iterator[Finding]:
    """Yields what is wrong with error reasons."""
    first: dict[str, Reason] = {}
    for reason in survey.reasons:
        if reason.code and not 400 <= reason.code <= 599:
            yield _at(CODE, reason, f"{reason.name} has code {reason.code}: an error has 400 to 599")
        if not reason.code and reason.number:
            yield _at(CODELESS, reason, f"{reason.name} has no code: no error is generated for it")
        if not reason.code:
            continue
        other = first.setdefault(reason.name, reason)
        if other.enum != reason.enum and _VERSION.sub("", other.package) != _VERSION.sub("", reason.package):
            place = f"{other.place.path}:{other.place.line}"
            yield _at(UNIQUE, reason, f"{reason.name} is a reason of {other.enum} too ({place})")
        elif other.enum != reason.enum and other.package == reason.package:
            yield _at(UNIQUE, reason, f"{reason.name} is a reason of {other.enum} too, in the same package")


def _at(rule: Rule, reason: Reason, message: str) -> Finding:
    return rule.at(reason.place.path, reason.place.line, reason.place.column, message)
