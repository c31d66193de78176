"""How protos and Python are laid out: by buf and by ruff, as ``kratos format`` has it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from kratos.tools.codegen import buf
from kratos.tools.codegen.findings import explained
from kratos.tools.codegen.folder import replace_file
from kratos.tools.codegen.project import Project, generate
from kratos.tools.codegen.workspace import Workspace, aside
from kratos.tools.failure import Failure
from kratos.tools.lint.python.files import own_files
from kratos.tools.lint.settings import Settings

__all__ = ["format_project", "has_ruff"]

_CHANGED = re.compile(r"^--- (?P<path>[^\n]+)\n\+\+\+ (?P=path)$", re.MULTILINE)


def has_ruff() -> bool:
    """Tells whether ruff is installed where kratos is."""
    return find_spec("ruff") is not None


def format_project(project: Project, *, write: bool) -> list[str]:
    """Formats the protos of a project, and its Python if ruff is installed; generated code follows the protos.

    Args:
        project: Whose.
        write: False only looks what would change.

    Returns:
        The files that changed or would, relative to the project.

    Raises:
        BufError: A proto cannot be read.
        Failure: A tool is missing, or cannot read a file.
    """
    protos = _protos(project)
    follows = write and bool(protos) and _is_current(project)
    for path, after in protos.items() if write else ():
        replace_file(project.root / path, after)
    if follows:  # the order of imports is a part of generated code
        generate(project)
    return [*protos, *(_python(project, write=write) if has_ruff() else ())]


def _is_current(project: Project) -> bool:
    """Tells whether generated code is there, and what the protos say: an edit is not lost by formatting."""
    if not any((project.root / project.out).rglob("*_pb.py")):
        return False
    try:
        return not generate(project, write=False)
    except Failure:
        return False


def _protos(project: Project) -> dict[str, bytes]:
    """Returns the protos that are not formatted, by path, as they would be."""
    changed: dict[str, bytes] = {}
    with aside(Workspace(project.root, project.protos)) as workspace:
        paths = workspace.tops()
        if not paths:
            return {}
        try:
            buf.formatted(workspace.root, workspace.modules, paths=paths)
        except buf.BufError as failure:
            raise explained(failure, workspace) from None
        for folder in project.protos:
            for name in workspace.files(folder):
                path = f"{folder}/{name}"
                after = (workspace.root / path).read_bytes()
                if (project.root / path).read_bytes() != after:
                    changed[path] = after
    return dict(sorted(changed.items()))


def _python(project: Project, *, write: bool) -> list[str]:
    paths = list(own_files(project, Settings.load(project.root).excluded))
    if not paths:
        return []
    looked = _ruff(project.root, "--diff", *paths)
    changed = sorted(found["path"] for found in _CHANGED.finditer(looked.stdout))
    if looked.returncode > 1:
        raise Failure(f"ruff cannot format: {looked.stderr.strip()}")
    if write and changed:
        _ruff(project.root, *paths)
    return changed


def _ruff(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "ruff", "format", "--force-exclude", "--no-cache", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603 - our own command line
