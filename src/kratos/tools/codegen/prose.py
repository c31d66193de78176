"""Comments of a contract as docstrings."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

__all__ = ["docstring"]

_WIDTH = 100  # prose is read, not scanned: it stays narrower than code may be
_ITEM = re.compile(r"(?:[-*+]|\d+[.)])\s+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # with the carriage return: Windows ends its lines so
_DIRECTIVE = re.compile(r"buf:lint:ignore\b")


def docstring(comment: str, indent: int, width: int, *, deprecated: bool = False, otherwise: str = "") -> list[str]:
    """Returns the lines of a docstring with its quotes, not yet indented; none without a text.

    Args:
        comment: The comment as the descriptor has it.
        indent: By how many columns the docstring will be indented.
        width: How long a line may be.
        deprecated: Says so at the end.
        otherwise: The text where there is no comment.
    """
    room = min(width, _WIDTH) - indent - 6  # for the quotes: a formatter joins a single line with them, fit or not
    lines = _lines(comment, room) or _lines(otherwise, room)
    if deprecated:
        lines += ["", "Deprecated."] if lines else ["Deprecated."]
    if not lines:
        return []
    lines[0] = lines[0].lstrip()
    if lines[0].startswith('"'):  # a quote may not touch the quotes of the docstring
        lines[0] = f" {lines[0]}"
    if len(lines) == 1:
        end = " " if lines[0].endswith('"') and not lines[0].endswith('\\"') else ""
        return [f'"""{lines[0]}{end}"""']
    # What follows the first line is indented from the docstring's own indentation.
    rest = textwrap.dedent("\n".join(lines[1:])).split("\n")
    return [f'"""{lines[0]}', *rest, '"""']


def _lines(comment: str, width: int) -> list[str]:
    """Returns the lines of a comment, escaped and wrapped, without blank ones at either end."""
    source = [line.rstrip() for line in _CONTROL.sub("", comment).expandtabs(4).split("\n")]
    source = [line for line in textwrap.dedent("\n".join(source)).split("\n") if not _DIRECTIVE.match(line)]
    return "\n".join(_escaped(source, width)).strip("\n").split("\n") if any(source) else []


def _escaped(lines: list[str], width: int) -> Iterator[str]:
    fenced = False
    for line in lines:
        escaped = line.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
        fence = line.lstrip().startswith("```")
        fenced ^= fence
        if len(escaped) <= width or fence or fenced or line.startswith("    "):
            yield escaped
        else:
            yield from _wrapped(escaped, width)


def _wrapped(line: str, width: int) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    item = _ITEM.match(line.lstrip())
    hanging = indent + " " * (item.end() if item else 0)
    return textwrap.wrap(line, width, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False)
