"""The family of rules for ``.proto`` files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from kratos.tools.codegen.survey import Survey
from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.proto import bindings, lists, reach, reasons, routes, style
from kratos.tools.lint.proto.contract import Contract

__all__ = ["RULES", "find"]

RULES: Final[tuple[Rule, ...]] = (*routes.RULES, *bindings.RULES, *reasons.RULES, *lists.RULES, *reach.RULES)
"""All of them, but for those of buf."""

_FINDERS: Final[tuple[Callable[[Survey], Iterator[Finding]], ...]] = (
    routes.find,
    bindings.find,
    reasons.find,
    lists.find,
    reach.find,
)


def find(contract: Contract) -> Iterator[Finding]:
    """Yields what is wrong with a contract."""
    yield from style.find(contract)
    for finder in _FINDERS:
        yield from map(contract.placed, finder(contract.survey))
