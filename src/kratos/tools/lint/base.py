"""What every family of rules speaks of: rules, findings, and how a finding can be put right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Edit", "Finding", "Rule", "Severity"]

Severity: TypeAlias = Literal["error", "warning"]
"""An error is wrong, and ends with exit code 1; a warning is most likely not what was meant."""


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """A piece of text to put in the place of another one.

    Attributes:
        start: Line, from 1, and column in bytes of UTF-8, from 0, whatever the file is in.
        end: Where what is replaced has ended.
        text: What stands there instead.
    """

    start: tuple[int, int]
    end: tuple[int, int]
    text: str


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A place that breaks a rule.

    Attributes:
        path: The file, relative to the project, with slashes.
        line: The line, from 1; 0 is the file as a whole.
        column: The column, from 1, in characters.
        rule: The rule's id, by which it can be ignored.
        message: What is wrong, and what would be right.
        severity: How bad it is.
        edits: What puts it right, where that is safe.
    """

    path: str
    line: int
    column: int
    rule: str
    message: str
    severity: Severity = "error"
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """What is looked for, and why.

    Attributes:
        id: By what it is selected and ignored. It never changes, and is never given to another rule.
        name: What people call it.
        severity: How bad a finding is.
        summary: What is found, in a line.
        why: What happens to whoever leaves it.
        fix: What to do about it.
        fixable: ``kratos lint --fix`` can do it.
        tests: It counts in tests too.
    """

    id: str
    name: str
    severity: Severity
    summary: str
    why: str
    fix: str
    fixable: bool = False
    tests: bool = True

    def at(self, path: str, line: int, column: int, message: str, edits: tuple[Edit, ...] = ()) -> Finding:
        """Returns a finding."""
        return Finding(path, line, column, self.id, message, self.severity, edits)
