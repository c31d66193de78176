"""Generated code and byte code, kept in step with the sources."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

from kratos.tools.codegen.project import Project, generate

__all__ = ["forget", "regenerate"]


def regenerate(root: Path) -> tuple[Project | None, bool]:
    """Generates the code of the project in a folder, if there is one.

    Returns:
        The project as its file says now, and whether any code is different.

    Raises:
        Failure: The protos or the project are at fault; the message has a line for each place.
    """
    project = Project.find(root)
    if project is None:
        return None, False
    done = generate(project)
    forget(done.written)
    return project, bool(done.written or done.removed)


def forget(paths: Iterable[Path]) -> None:
    """Removes the byte code of modules.

    Python recognises it by size and time in whole seconds: a second save within the second would not be noticed.
    """
    for path in paths:
        if path.suffix == ".py":
            with suppress(OSError, NotImplementedError):
                Path(cache_from_source(str(path))).unlink()
