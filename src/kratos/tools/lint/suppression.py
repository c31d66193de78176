"""Exceptions where they are made: ``# kratos: ignore[ID] reason`` in a file itself.

A comment at the end of a line excuses that line, one that stands alone the next line that is no comment. With
``ignore-file`` it excuses the whole file. In protos it begins with ``//``.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from kratos.tools.lint.base import Finding, Rule

__all__ = ["RULES", "Exceptions"]

STRANGE: Final = Rule(
    "KRX901",
    "unknown-rule",
    "warning",
    "A comment excuses a rule that there is not.",
    "It excuses nothing, though it looks as if.",
    "Name a rule: kratos lint --rules lists them.",
)
UNUSED: Final = Rule(
    "KRX902",
    "unused-exception",
    "warning",
    "A comment excuses what is not wrong any more.",
    "It would hide the next mistake in that place.",
    "Remove it.",
)
RULES: Final = (STRANGE, UNUSED)
"""The rules for exceptions."""

_COMMENT = re.compile(
    r"(?P<mark>#|//)\s*kratos:\s?ignore(?P<file>-file)?(?:\[(?P<listed>[^\]\n]*)\]|\s+(?P<single>[A-Z][A-Z0-9_]*))"
)
_QUOTED = r"""(?<!\w)(?:"(?:[^"\\]|\\.)*"|'[^']*')"""
_PIECE: Final = {"#": re.compile(rf"{_QUOTED}|(?<!\S)#.*"), "//": re.compile(rf"{_QUOTED}|//.*")}
_LINE_END = re.compile(r"\r\n|\r|\n")
_FOREIGN = re.compile(r"[A-Z]+(?:_[A-Z]+)+|COMPILE")
"""What buf calls its rules."""


@dataclass(slots=True)
class _Exception:
    line: int
    column: int
    ids: tuple[str, ...]
    covers: int  # 0 is the whole file
    used: set[str] = field(default_factory=set[str])


class Exceptions:
    """The exceptions of some files.

    Args:
        texts: The files, by path.
        known: The ids of our rules.
    """

    def __init__(self, texts: Mapping[str, str], known: Collection[str]) -> None:
        self._known = known
        self._found = {path: found for path, text in texts.items() if (found := list(_read(path, text)))}

    def excuses(self, finding: Finding) -> bool:
        """Tells whether a finding is excused where it is."""
        excused = False
        for each in self._found.get(finding.path, ()):
            if finding.rule in each.ids and each.covers in (0, finding.line):
                each.used.add(finding.rule)
                excused = True
        return excused

    def strange(self, judged: Collection[str]) -> Iterator[Finding]:
        """Yields exceptions for rules that there are not, and those that excuse nothing.

        Args:
            judged: The ids of the rules that were looked for.
        """
        for path, found in self._found.items():
            for each in found:
                for name in each.ids:
                    if name not in self._known and not _FOREIGN.fullmatch(name):
                        yield STRANGE.at(path, each.line, each.column, f"there is no rule {name}")
                    elif name in judged and name not in each.used:
                        yield UNUSED.at(path, each.line, each.column, f"{name} is excused here, and nothing breaks it")


def _read(path: str, text: str) -> Iterator[_Exception]:
    if "kratos:" not in text:
        return
    mark = "//" if path.endswith(".proto") else "#"
    lines = _LINE_END.split(text)
    for number, column, comment in _python(text) if path.endswith(".py") else _others(lines, mark):
        alone = not lines[number - 1][:column].strip()
        for found in _COMMENT.finditer(comment):
            if found["mark"] == mark:
                ids = tuple(re.findall(r"[A-Za-z0-9_]+", found["listed"] or found["single"] or ""))
                covers = 0 if found["file"] else _below(lines, number, mark) if alone else number
                yield _Exception(number, column + found.start() + 1, ids, covers)


def _python(text: str) -> Iterator[tuple[int, int, str]]:
    """Yields the comments of Python with their lines and columns, as far as it can be read."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield *token.start, token.string
    except (tokenize.TokenError, SyntaxError):
        return  # told by another rule


def _others(lines: Sequence[str], mark: str) -> Iterator[tuple[int, int, str]]:
    """Yields the comments of protos, YAML and TOML: what begins with the mark, and not in a text between quotes."""
    for number, line in enumerate(lines, 1):
        if "kratos:" in line:
            found = next((each for each in _PIECE[mark].finditer(line) if each[0].startswith(mark)), None)
            if found is not None:
                yield number, found.start(), found[0]


def _below(lines: Sequence[str], number: int, mark: str) -> int:
    """Returns the next line that is neither empty nor a comment."""
    for at in range(number, len(lines)):
        text = lines[at].strip()
        if text and not text.startswith(mark):
            return at + 1
    return number
