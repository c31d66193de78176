"""The files that configure a project, and the message that says what may be in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kratos.config.base import EMPTY, ConfigError, Node
from kratos.config.document import FORMATS
from kratos.config.document import read as read_document
from kratos.config.merge import merge
from kratos.tools.codegen.survey import Survey
from kratos.tools.lint.base import Finding, Rule

__all__ = ["RULES", "Documents", "read"]

UNREADABLE: Final = Rule(
    "KRC300",
    "config-unreadable",
    "error",
    "A file of the configuration cannot be read.",
    "The program does not start.",
    "Correct it: YAML, JSON or TOML, in UTF-8, with a mapping at the top and no key twice.",
)
RULES: Final = (UNREADABLE,)
"""The rules for files as such."""

_BOOTSTRAP = "Bootstrap"


@dataclass(frozen=True, slots=True)
class Documents:
    """The configuration of a project.

    Attributes:
        roots: What each file says, by its path.
        tree: All of them, one over the other.
        schema: The full name of the message that they have to fit; empty if there is none.
        broken: What cannot be read.
    """

    roots: dict[str, Node]
    tree: Node
    schema: str
    broken: tuple[Finding, ...]


def read(root: Path, places: Sequence[str], schema: str, survey: Survey) -> Documents:
    """Reads the configuration of a project.

    Args:
        root: The project.
        places: Its files, and folders of files.
        schema: The full name of its message; if empty, the one that is called ``Bootstrap``.
        survey: What the protos declare.
    """
    roots: dict[str, Node] = {}
    broken: list[Finding] = []
    tree = EMPTY
    for path in _files(root, places):
        name = path.relative_to(root).as_posix()
        try:
            roots[name] = read_document(path.read_bytes(), FORMATS[path.suffix], name)
            tree = merge(tree, roots[name])
        except ConfigError as error:
            for problem in error.problems:
                place = problem.place
                line, column = (place.line, place.column) if place else (0, 0)
                broken.append(UNREADABLE.at(name, line, column or 1, problem.what))
    named = [message.name for message in survey.messages.values() if message.own and _called(message.name)]
    return Documents(roots, tree, schema or (named[0] if len(named) == 1 else ""), tuple(broken))


def _called(name: str) -> bool:
    return name.rpartition(".")[2] == _BOOTSTRAP


def _files(root: Path, places: Sequence[str]) -> Iterator[Path]:
    for place in places:
        path = root / place
        found = sorted(path.iterdir()) if path.is_dir() else [path]
        yield from (
            each for each in found if each.suffix in FORMATS and each.is_file() and not each.name.startswith(".")
        )
