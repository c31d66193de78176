"""The rules as a table for people: what ``docs/lint.md`` has of them."""

from __future__ import annotations

from collections.abc import Iterable

from kratos.tools.lint.base import Rule

__all__ = ["table"]


def table(rules: Iterable[Rule]) -> str:
    """Returns a Markdown table with a row for each rule."""
    rows = [f"| {_name(rule)} | {rule.severity} | {rule.summary} {rule.why} | {rule.fix} |" for rule in rules]
    return "\n".join(["| rule | severity | what, and why | what to do |", "|---|---|---|---|", *map(_safe, rows)])


def _name(rule: Rule) -> str:
    return f"`{rule.id}` {rule.name}{', `--fix`' if rule.fixable else ''}"


def _safe(row: str) -> str:
    return row.replace("\n", " ")
