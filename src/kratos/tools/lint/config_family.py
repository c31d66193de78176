"""The family of rules for configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kratos.tools.codegen.survey import Survey
from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.config import documents, schema, secrets, unread
from kratos.tools.lint.python.module import Module

__all__ = ["RULES", "find"]

RULES: Final[tuple[Rule, ...]] = (*documents.RULES, *schema.RULES, *secrets.RULES, *unread.RULES)
"""All of them."""


def find(found: documents.Documents, survey: Survey, modules: Sequence[Module]) -> Iterator[Finding]:
    """Yields what is wrong with a configuration, and with code that reads it."""
    yield from found.broken
    yield from schema.find(found, survey)
    yield from schema.find_keys(modules, found, survey)
    yield from secrets.find(found, survey)
