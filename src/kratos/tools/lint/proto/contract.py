"""The contract that is judged: what its protos declare, and where they are."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from kratos.tools.codegen import buf
from kratos.tools.codegen.findings import explained
from kratos.tools.codegen.project import Project
from kratos.tools.codegen.survey import Survey, survey
from kratos.tools.codegen.workspace import Workspace, aside
from kratos.tools.lint.base import Finding

__all__ = ["Contract", "opened", "read"]

_PLACE = re.compile(r"\((?P<path>[^\s():]+\.proto):(?P<line>\d+)\)")


@dataclass(frozen=True, slots=True)
class Contract:
    """The protos of a project.

    Attributes:
        workspace: A copy of them for buf.
        paths: What to judge in it.
        survey: What they declare.
    """

    workspace: Workspace
    paths: tuple[str, ...]
    survey: Survey

    def placed(self, finding: Finding) -> Finding:
        """Returns a finding at an import path, and in what it says, as one at the path of a file."""

        def elsewhere(place: re.Match[str]) -> str:
            return f"({self.workspace.located(place['path'])}:{place['line']})"

        message = _PLACE.sub(elsewhere, finding.message)
        return replace(finding, path=self.workspace.located(finding.path), message=message)


@contextmanager
def opened(project: Project) -> Generator[Contract]:
    """Lends the contract of a project; nothing is written into the project.

    Raises:
        BufError: The protos do not compile.
        Failure: A tool is missing.
    """
    with aside(Workspace(project.root, project.protos)) as workspace:
        yield read(workspace)


def read(workspace: Workspace) -> Contract:
    """Reads the contract in a workspace.

    Raises:
        BufError: The protos do not compile.
    """
    paths = tuple(workspace.tops())
    if not paths:
        return Contract(workspace, (), Survey())
    own = [path for folder in workspace.protos for path in workspace.files(folder)]
    try:
        return Contract(workspace, paths, survey(buf.describe(workspace.root, workspace.modules, paths=paths), own))
    except buf.BufError as failure:
        raise explained(failure, workspace) from None
