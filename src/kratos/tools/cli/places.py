"""Places in files, as somebody in the current folder would write them."""

from __future__ import annotations

import os
from pathlib import Path

from kratos.tools.cli.terminal import paint

__all__ = ["counted", "place", "seen_from_here"]


def seen_from_here(path: Path) -> str:
    """Returns a path relative to the current folder, absolute where that is not possible."""
    try:
        return os.path.relpath(path)
    except ValueError:  # another drive
        return str(path)


def place(path: str, line: int, column: int) -> str:
    """Returns ``file:line:column``, in the style of names; what is unknown is left out."""
    said = ":".join(str(part) for part in (path, line, column) if part)
    return paint(said, "name") if said else ""


def counted(number: int, noun: str, nouns: str = "") -> str:
    """Returns a number with its noun.

    Args:
        number: How many.
        noun: Of what, if it is one.
        nouns: Of what otherwise; the noun with an s if not given.
    """
    return f"{number} {noun}" if number == 1 else f"{number} {nouns or f'{noun}s'}"
