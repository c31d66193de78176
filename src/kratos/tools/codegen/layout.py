"""How generated source is laid out: as ``ruff format`` and its import sorting would leave it.

The writers print one statement a line, however long; names are only final when all of them are known. Here the imports
are sorted and long lines folded, so that the result passes a formatter unchanged and needs no suppression.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Container, Iterator, Sequence
from typing import Any

from kratos.tools.codegen.fold import fold

__all__ = ["import_group", "member_key", "statement_key", "tidy"]

_DIGITS = re.compile(r"(\d+)")


def tidy(source: str, header: str, width: int) -> str:
    """Returns the finished text of a module.

    Args:
        source: The imports, then the code, one statement a line.
        header: The comment to start with.
        width: How long a line may be.
    """
    lines = source.split("\n")
    start = next((at for at, line in enumerate(lines) if line and not line.startswith("from ")), len(lines))
    body = list(_folded(lines[start:], width))
    while body and not body[-1]:
        body.pop()
    gap = ["", ""] if body and body[0].startswith("class ") else [""]
    comment = textwrap.wrap(header, width, subsequent_indent="# ", break_long_words=False, break_on_hyphens=False)
    return "\n".join([*comment, "", *_imports(lines[:start], width), *gap, *body, ""])


def _imports(lines: list[str], width: int) -> Iterator[str]:
    group = 0
    for module, names in sorted(_statements(lines), key=lambda statement: statement_key(*statement)):
        if import_group(module) != group:
            yield ""
        group = import_group(module)
        yield from fold(f"from {module} import {', '.join(names)}", width)


def _statements(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yields module and sorted names of each import; an alias has a statement of its own."""
    for line in filter(None, lines):
        module, _, text = line.removeprefix("from ").partition(" import ")
        names = sorted(text.split(", "), key=member_key)
        plain = [name for name in names if " as " not in name]
        if plain:
            yield module, plain
        yield from ((module, [name]) for name in names if " as " in name)


def statement_key(module: str, names: Sequence[str], first_party: Container[str] = ()) -> tuple[Any, ...]:
    """Returns by what ``from`` imports are sorted: their group, then the module, the farthest relative one first.

    Args:
        module: The module, with the dots before it.
        names: What is imported of it, sorted.
        first_party: Packages of the project itself.
    """
    name = module.lstrip(".")
    depth = len(name) - len(module)
    return import_group(module, first_party), depth, _natural(name.lower()), _natural(name), member_key(names[0])


def import_group(module: str, first_party: Container[str] = ()) -> int:
    """Returns in which block a module is imported: future, standard library, others, the project's own, relative."""
    if module.startswith("."):
        return 4
    top = module.partition(".")[0]
    if top in first_party:
        return 3
    return 0 if top == "__future__" else 1 if top in sys.stdlib_module_names else 2


def member_key(name: str) -> tuple[Any, ...]:
    """Returns by what the names of one import are sorted: constants, then classes, then the rest."""
    plain = name.partition(" as ")[0]
    kind = 0 if len(plain) > 1 and plain.isupper() else 1 if plain[:1].isupper() else 2
    return kind, _natural(plain.lower()), _natural(plain), name


def _natural(text: str) -> list[tuple[bool, int, str]]:
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in _DIGITS.split(text) if part]


def _folded(lines: list[str], width: int) -> Iterator[str]:
    prose = False
    for line in lines:
        text = line.strip()
        if prose:
            yield line
            prose = text != '"""'
        elif text.startswith('"""'):
            yield line
            prose = len(text) < 6 or not text.endswith('"""')
        else:
            yield from fold(line, width)
