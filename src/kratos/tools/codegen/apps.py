"""Which apps a project has: those that its table names, else those that are where apps are by convention."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from kratos.tools.codegen.project import Project

__all__ = ["apps", "called"]

_MAIN: Final = "main.py"
# Read as text: the file may not even parse, and that is for whoever loads it to tell.
_APP: Final = re.compile(r"^(?:app\s*(?::[^=\n]+)?=(?!=)|(?:async\s+)?def\s+app\b)", re.MULTILINE)


def apps(root: Path, project: Project | None) -> tuple[str, ...]:
    """Returns the apps, each as ``module:attribute``.

    What the table says is all there is. Where it says nothing, an app is called ``app`` and stands in ``main.py``, in
    the folder itself or in a package of it.

    Args:
        root: The folder that is imported from.
        project: What its table says, if it has one.
    """
    if project is not None and project.app:
        return project.app
    places = [root / _MAIN, *sorted(root.glob(f"*/{_MAIN}"))]
    modules = [place.relative_to(root).with_suffix("").parts for place in places if _has_app(place)]
    return tuple(f"{'.'.join(parts)}:app" for parts in modules if all(part.isidentifier() for part in parts))


def called(reference: str) -> str:
    """Returns what people call an app: the package that it is in."""
    return reference.partition(":")[0].partition(".")[0]


def _has_app(path: Path) -> bool:
    try:
        return bool(_APP.search(path.read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return False
