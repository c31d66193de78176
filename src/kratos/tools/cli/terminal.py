"""What commands print: results on stdout, everything else on stderr, colours only where a person looks.

Colours are off when the stream is not a terminal, when ``NO_COLOR`` is set, and on a dumb terminal.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from typing import Any, Final, TextIO

import click

__all__ = ["error", "leave_stdout", "note", "paint", "show", "show_json", "suggest", "wrapped"]

_STYLES: Final[dict[str, dict[str, Any]]] = {
    "bad": {"fg": "red", "bold": True},
    "warn": {"fg": "yellow"},
    "good": {"fg": "green"},
    "name": {"fg": "cyan"},
    "strong": {"bold": True},
    "faint": {"dim": True},
}


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """Returns text in a style of ours (bad, warn, good, name, strong, faint), plain where colours are off.

    Args:
        text: What to print.
        style: Its role; the colour follows from it.
        stream: Where it will be printed; stdout if not given.
    """
    return click.style(text, **_STYLES[style]) if _coloured(stream or sys.stdout) else text


def wrapped(text: str, stream: TextIO | None = None, *, indent: str = "  ") -> str:
    """Returns text with its long lines broken between words, where a person looks; elsewhere it stays as it is.

    A terminal breaks them anywhere, and a path that is broken cannot be copied.

    Args:
        text: Lines of words.
        stream: Where it will be printed; stderr if not given.
        indent: What stands before the rest of a line.
    """
    if not (stream or sys.stderr).isatty():
        return text
    room = shutil.get_terminal_size().columns
    return "\n".join(_broken(line, room, indent) for line in text.split("\n"))


def _broken(line: str, room: int, indent: str) -> str:
    """Breaks a line before words that have no room; ``textwrap`` would count colours as letters."""
    broken, used = "", 0
    for blank, word in re.findall(r"( *)([^ ]+)", line):
        width = len(click.unstyle(word))
        if used and used + len(blank) + width > room:
            broken, used = f"{broken}\n{indent}{word}", len(indent) + width
        else:
            broken, used = f"{broken}{blank}{word}", used + len(blank) + width
    return broken


def show(text: str = "") -> None:
    """Prints a line of the result."""
    click.echo(text)


def show_json(value: Any) -> None:
    """Prints a result for scripts: one JSON document."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """Tells what is going on, on stderr."""
    click.echo(text, err=True)


def suggest(command: str) -> None:
    """Says what to type next, on stderr."""
    click.echo(f"{paint('  try:', 'faint', sys.stderr)} {command}", err=True)


def error(message: str, *, hint: str = "") -> None:
    """Tells what went wrong, and what to do about it, on stderr."""
    mark = "error:"
    click.echo(wrapped(f"{mark} {message}").replace(mark, paint(mark, "bad", sys.stderr), 1), err=True)
    if hint:
        suggest(hint)


def leave_stdout() -> None:
    """Lets the interpreter flush stdout at its end without a word about a pipe that nobody reads any more."""
    try:
        handle = sys.stdout.fileno()
    except (OSError, ValueError):  # somebody has put something else in its place
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, handle)
    os.close(nothing)


def _coloured(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()
