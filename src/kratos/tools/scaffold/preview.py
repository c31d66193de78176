"""What an upgrade makes of generated code, found out in a copy: the template may change protos and settings."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from kratos.tools.codegen.buf import BufError
from kratos.tools.codegen.project import Generated, Project
from kratos.tools.failure import Failure
from kratos.tools.scaffold.upgrade import Upgrade, unified

__all__ = ["generated_diffs"]


def generated_diffs(upgrade: Upgrade, project: Project, generate: Callable[[Project], Generated]) -> list[str]:
    """Returns how each generated file would change once an upgrade is done, as unified diffs.

    Args:
        upgrade: What would be done.
        project: The project as it is; nothing in it changes.
        generate: What generates the code of a project.

    Raises:
        BufError: The protos would be wrong.
        Failure: The code could not be generated.
    """
    with tempfile.TemporaryDirectory(prefix="kratos-") as name:
        root = Path(name)
        shutil.copyfile(project.root / "pyproject.toml", root / "pyproject.toml")
        present = {*project.protos, project.out}
        _copy(present, project.root, root)
        upgrade.copy_to(root)
        changed = Project.load(root)
        _copy({*changed.protos, changed.out} - present, project.root, root)
        try:
            done = generate(changed)
        except BufError:
            raise
        except Failure as failure:
            said = str(failure).replace(str(root), str(project.root))
            raise Failure(said, hint=failure.hint, code=failure.code) from failure
        paths = sorted(path.relative_to(root) for path in (*done.written, *done.removed))
        diffs = (unified(path.as_posix(), _read(project.root / path), _read(root / path)) for path in paths)
        return [diff for diff in diffs if diff]


def _copy(folders: Iterable[str], source: Path, root: Path) -> None:
    """Copies what is there of protos and generated code; one of them may lie in another."""
    left_out = shutil.ignore_patterns("__pycache__", ".git", ".venv")
    for folder in sorted(folders):
        if (source / folder).is_dir():
            shutil.copytree(
                source / folder, root / folder, ignore=left_out, ignore_dangling_symlinks=True, dirs_exist_ok=True
            )


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
