"""The family of rules for ``.proto`` files: buf's standard, less what Kratos' own conventions forbid.

A service need not be called ``…Service``, requests and replies are called so and may be shared, and the values of an
enum of error reasons are the reasons on the wire, which no prefix may spoil.
"""

from __future__ import annotations

from kratos.tools.codegen import buf
from kratos.tools.codegen.coded import coded_enums
from kratos.tools.codegen.findings import explained
from kratos.tools.codegen.project import Project
from kratos.tools.codegen.workspace import Workspace, aside
from kratos.tools.lint.base import Finding

__all__ = ["EXCEPTIONS", "check"]

EXCEPTIONS = (
    "RPC_REQUEST_RESPONSE_UNIQUE",
    "RPC_REQUEST_STANDARD_NAME",
    "RPC_RESPONSE_STANDARD_NAME",
    "SERVICE_SUFFIX",
)
"""Rules of buf's standard that do not hold here."""

_VALUE_PREFIX = "ENUM_VALUE_PREFIX"
_RULES = {"use": ["STANDARD"], "except": [*EXCEPTIONS]}


def check(project: Project) -> list[Finding]:
    """Judges the project's own protos, offline.

    Raises:
        BufError: They do not compile.
        Failure: A tool is missing.
    """
    with aside(Workspace(project.root, project.protos)) as workspace:
        paths = workspace.tops()
        if not paths:
            return []
        try:
            found = buf.lint(workspace.root, workspace.modules, _RULES, paths=paths)
        except buf.BufError as failure:
            raise explained(failure, workspace) from None
        return [Finding(each.path, each.line, each.column, each.rule, each.message) for each in _ours(found, workspace)]


def _ours(found: list[buf.Finding], workspace: Workspace) -> list[buf.Finding]:
    """Leaves out the prefixes of error reasons."""
    paths = sorted({each.path for each in found if each.rule == _VALUE_PREFIX})
    if not paths:
        return found
    spans = coded_enums(buf.describe(workspace.root, workspace.modules, paths=paths))
    return [
        each
        for each in found
        if each.rule != _VALUE_PREFIX
        or not any((_import_path(each.path, workspace), each.line, each.column) in span for span in spans)
    ]


def _import_path(path: str, workspace: Workspace) -> str:
    folder = next(folder for folder in workspace.protos if path.startswith(f"{folder}/"))
    return path.removeprefix(f"{folder}/")
