"""How protos are written: buf's standard, less what Kratos' own conventions forbid.

A service need not be called ``…Service``, requests and replies are called so and may be shared, and the values of an
enum of error reasons are the reasons on the wire, which no prefix may spoil.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kratos.tools.codegen import buf
from kratos.tools.lint.base import Finding
from kratos.tools.lint.proto.contract import Contract

__all__ = ["EXCEPTIONS", "find"]

EXCEPTIONS: Final = (
    "RPC_REQUEST_RESPONSE_UNIQUE",
    "RPC_REQUEST_STANDARD_NAME",
    "RPC_RESPONSE_STANDARD_NAME",
    "SERVICE_SUFFIX",
)
"""Rules of buf's standard that do not hold here."""

_VALUE_PREFIX = "ENUM_VALUE_PREFIX"
_RULES: Final = {"use": ["STANDARD"], "except": [*EXCEPTIONS]}


def find(contract: Contract) -> Iterator[Finding]:
    """Yields what breaks buf's rules; they keep the names that they have there."""
    if not contract.paths:
        return
    workspace = contract.workspace
    for each in buf.lint(workspace.root, workspace.modules, _RULES, paths=contract.paths):
        if each.rule != _VALUE_PREFIX or not _coded(each, contract):
            yield Finding(each.path, each.line, each.column, each.rule, each.message)


def _coded(found: buf.Finding, contract: Contract) -> bool:
    """Tells whether something is a part of an enum with codes."""
    return any(
        contract.workspace.located(span.path) == found.path and (span.path, found.line, found.column) in span
        for span in contract.survey.coded
    )
