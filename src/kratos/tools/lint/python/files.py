"""The Python files of a project, read: its own ones, not those that are generated or installed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kratos.tools.codegen.project import Project
from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.python.module import Module
from kratos.tools.stubs.outline import Packages
from kratos.tools.stubs.text import decoded

__all__ = ["RULES", "Code", "own_files", "read"]

SYNTAX: Final = Rule(
    "KRY200",
    "syntax-error",
    "error",
    "A file is no Python.",
    "It cannot be imported, and cannot be judged.",
    "Correct it.",
)
RULES: Final = (SYNTAX,)
"""The rules for files as such."""

_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "build", "dist", "venv", "site-packages"})
_TESTS: Final = frozenset({"tests", "test"})


@dataclass(slots=True)
class Code:
    """The code of a project.

    Attributes:
        modules: Its files.
        texts: Their texts, by path.
        broken: What cannot be read.
        packages: Its packages, those at the top.
    """

    modules: list[Module] = field(default_factory=list[Module])
    texts: dict[str, str] = field(default_factory=dict[str, str])
    broken: list[Finding] = field(default_factory=list[Finding])
    packages: frozenset[str] = frozenset()


def read(project: Project, excluded: Callable[[str], bool]) -> Code:
    """Reads the Python files of a project.

    Args:
        project: Whose.
        excluded: Which of them are none of our business.
    """
    code = Code()
    packages = Packages.of(project)
    source = packages.root.relative_to(project.root).as_posix()
    for path in own_files(project, excluded):
        try:
            text, _ = decoded((project.root / path).read_bytes())
            code.texts[path] = text
            code.modules.append(_module(path, text, "" if source == "." else f"{source}/"))
        except SyntaxError as wrong:
            code.broken.append(SYNTAX.at(path, wrong.lineno or 0, wrong.offset or 1, wrong.msg))
        except (ValueError, RecursionError, OSError) as wrong:
            code.broken.append(SYNTAX.at(path, 0, 1, str(wrong)))
    code.packages = frozenset(module.name.partition(".")[0] for module in code.modules if module.package)
    return code


def own_files(project: Project, excluded: Callable[[str], bool]) -> Iterator[str]:
    """Yields the Python files of a project, relative to it: not what is generated, installed or another project's."""
    root = str(project.root)
    for folder, folders, names in os.walk(root):
        below = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = "" if below == "." else f"{below}/"
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SKIPPED
            and f"{prefix}{name}" != project.out
            and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
            and not _is_project(os.path.join(folder, name))
        )
        for name in sorted(names):
            if name.endswith(".py") and not excluded(f"{prefix}{name}"):
                yield f"{prefix}{name}"


def _is_project(folder: str) -> bool:
    """Tells whether a folder is a project of its own, which is judged by itself."""
    try:
        return b"[tool.kratos]" in Path(folder, "pyproject.toml").read_bytes()
    except OSError:
        return False


def _module(path: str, text: str, source: str) -> Module:
    *folders, file = path.removeprefix(source).split("/")
    stem = file.removesuffix(".py")
    is_package = stem == "__init__"
    name = ".".join(folders if is_package else [*folders, stem])
    is_test = not _TESTS.isdisjoint(folders) or stem.startswith("test_") or stem == "conftest"
    return Module.read(path, text, name, is_package=is_package, is_test=is_test)
