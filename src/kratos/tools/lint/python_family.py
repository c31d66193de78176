"""The family of rules for Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kratos.tools.codegen.project import Project
from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.python import contexts, files, layers, limits, services, values, waiting
from kratos.tools.stubs.outline import Packages

__all__ = ["RULES", "find"]

RULES: Final[tuple[Rule, ...]] = (
    *files.RULES, *services.RULES, *waiting.RULES, *limits.RULES, *layers.RULES, *values.RULES, *contexts.RULES,
)  # fmt: skip
"""All of them."""

_NOT_IN_TESTS: Final = frozenset(rule.id for rule in RULES if not rule.tests)


def find(project: Project, code: files.Code) -> Iterator[Finding]:
    """Yields what is wrong with the code of a project."""
    yield from code.broken
    for module in code.modules:
        for found in (
            *waiting.find(module), *limits.find(module), *layers.find(module, code.packages), *values.find(module),
            *contexts.find(module),
        ):  # fmt: skip
            if not (module.is_test and found.rule in _NOT_IN_TESTS):
                yield found
    yield from services.find(code.modules, services.promised(project.root / project.out, Packages.of(project).out))
