"""What a compiler says, made complete: which file it means, which import is missing, and where imports come from."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace

from kratos.tools.codegen.buf import BufError, Finding
from kratos.tools.codegen.workspace import THIRD_PARTY, Workspace

__all__ = ["explained"]

_NO_SUCH_FILE = "imported file does not exist"
_IMPORT = re.compile(r"""import\s+(?:public\s+|weak\s+)?["'](?P<path>[^"']+)""")

_PLACE = re.compile(r"\((?P<path>[^\s():]+\.proto)(?P<rest>:\d+:\d+)\)")  # of the other culprit of a clash


def explained(error: BufError, workspace: Workspace) -> BufError:
    """Returns a failure to compile with its places seen from the workspace, and missing imports by their names."""
    located = [_located(found, workspace) for found in error.findings]
    missing = [found for found in located if found.message == _NO_SUCH_FILE]
    known = sorted(_known(workspace)) if missing else []
    note = (
        f"imports start in {', '.join(workspace.protos)}; besides, there are {_brought(workspace)}" if missing else ""
    )
    return BufError([_named(found, workspace, known) for found in located], note=note)


def _located(found: Finding, workspace: Workspace) -> Finding:
    def elsewhere(place: re.Match[str]) -> str:
        return f"({workspace.located(place['path'])}{place['rest']})"

    return replace(found, path=workspace.located(found.path), message=_PLACE.sub(elsewhere, found.message))


def _named(found: Finding, workspace: Workspace, known: list[str]) -> Finding:
    if found.message != _NO_SUCH_FILE:
        return found
    lines = (workspace.root / found.path).read_text(encoding="utf-8", errors="replace").split("\n")
    written = _IMPORT.match("\n".join(lines[found.line - 1 :])[found.column - 1 :])
    if written is None:
        return found
    path = written["path"]
    # A path that starts one folder too high or too low is the usual mistake.
    near = [name for name in known if name.endswith(f"/{path}") or path.endswith(f"/{name}")]
    near = near or difflib.get_close_matches(path, known, 1, 0.8)
    meant = f'; is "{near[0]}" meant?' if near else ""
    return replace(found, message=f'there is no "{path}" to import{meant}')


def _known(workspace: Workspace) -> set[str]:
    return {path for folder in workspace.modules for path in workspace.files(folder)}


def _brought(workspace: Workspace) -> str:
    """Returns the folders that come with the installed packages."""
    folders = {path.rpartition("/")[0] for path in workspace.files(THIRD_PARTY)}
    return ", ".join([*sorted(folders), "google/protobuf"])
