"""Generated code: whether it is still what the protos say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kratos.tools.codegen.buf import BufError
from kratos.tools.codegen.project import Project, generate
from kratos.tools.failure import Failure
from kratos.tools.lint.base import Finding, Rule

__all__ = ["DRIFT", "RULES", "find"]

REFUSED: Final = Rule(
    "KRP100",
    "not-generated",
    "error",
    "Code cannot be generated from the protos.",
    "What runs is what they said before.",
    "Correct what the message says.",
)
DRIFT: Final = Rule(
    "KRY201",
    "generated-drift",
    "error",
    "Generated code is not what the protos say: it was edited, or they have changed since.",
    "The next generation undoes the edit; until then server and contract differ.",
    "Run `kratos generate`, and change the protos instead of the code.",
    fixable=True,
)
"""The one rule whose findings are put right by generating."""

RULES: Final = (REFUSED, DRIFT)
"""The rules for generated code."""


def find(project: Project) -> Iterator[Finding]:
    """Yields generated files that are not what they should be; a project that was never generated has none."""
    out = project.root / project.out
    if not any(out.rglob("*_pb.py")):
        return
    try:
        done = generate(project, write=False)
    except BufError as failure:
        for each in failure.findings:
            yield REFUSED.at(each.path, each.line, each.column, each.message)
        return
    except Failure as failure:
        yield REFUSED.at("pyproject.toml", 0, 1, str(failure))
        return
    for path in done.written:
        said = "is not what the protos say" if path.exists() else "is missing"
        yield DRIFT.at(path.relative_to(project.root).as_posix(), 1, 1, f"{path.name} {said}: kratos generate")
    for path in done.removed:
        yield DRIFT.at(path.relative_to(project.root).as_posix(), 1, 1, f"{path.name} has no proto any more")
