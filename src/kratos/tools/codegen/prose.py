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
    """Returns the lines of a docstring, quotes and indentation included; none without a text.

    Args:
        comment: The comment as the descriptor has it.
        indent: By how many columns the docstring is indented.
        width: How long a line may be.
        deprecated: Says so at the end.
        otherwise: The text where there is no comment.
    """
    lines = list(_lines(comment, min(width, _WIDTH) - indent - 3)) or [line for line in (otherwise,) if line]
    if deprecated:
        lines += ["", "Deprecated."] if lines else ["Deprecated."]
    if not lines:
        return []
    # A quote may not touch the quotes of the docstring.
    lines[0] = f" {lines[0]}" if lines[0].startswith('"') else lines[0]
    if len(lines) == 1:
        end = " " if lines[0].endswith('"') and not lines[0].endswith('\\"') else ""
        one = f'"""{lines[0]}{end}"""'
        if len(one) + indent <= width:
            return [" " * indent + one]
    lines[0] = f'"""{lines[0]}'
    return [(" " * indent + line).rstrip() for line in (*lines, '"""')]


def _lines(comment: str, width: int) -> Iterator[str]:
    lines = _CONTROL.sub("", comment).expandtabs(4).split("\n")
    text = textwrap.dedent("\n".join(line.rstrip() for line in lines)).strip("\n")
    fenced = False
    for line in text.split("\n") if text.strip() else ():
        if _DIRECTIVE.match(line):
            continue
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
