"""What every family of rules speaks of: findings, and how a family is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from kratos.tools.codegen.project import Project

__all__ = ["Family", "Finding"]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A place that breaks a rule.

    Attributes:
        path: The file, relative to the project, with slashes.
        line: The line, from 1; 0 is the file as a whole.
        column: The column, from 1.
        rule: The rule's name, by which it can be ignored.
        message: What is wrong, and what would be right.
    """

    path: str
    line: int
    column: int
    rule: str
    message: str


Family: TypeAlias = Callable[[Project], list[Finding]]
"""Judges a project. It writes nothing into it, and raises ``Failure`` for a project that cannot be judged."""
