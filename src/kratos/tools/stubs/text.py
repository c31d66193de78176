"""Python source as text that is added to and never rewritten: lines, places, indentation, ends of lines."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass

__all__ = ["Text", "decoded"]

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")  # as Python sees lines; str.splitlines knows more ends


@dataclass(frozen=True, slots=True)
class Text:
    """The text of a file.

    Attributes:
        source: All of it.
        lines: Its lines with their ends.
    """

    source: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, source: str) -> Text:
        """Splits a text into lines."""
        return cls(source, tuple(_LINE.findall(source)))

    @property
    def newline(self) -> str:
        """How its lines end: as the first one does."""
        end = re.search(r"\r\n|\r|\n", self.source)
        return end[0] if end else "\n"

    @property
    def unit(self) -> str:
        """What one level of indentation is."""
        return "\t" if any(line.startswith("\t") for line in self.lines) else "    "

    def start(self, line: int) -> int:
        """Returns where a line starts; lines count from 1, and the one behind the last starts at the end."""
        return sum(map(len, self.lines[: line - 1]))

    def place(self, line: int, column: int) -> int:
        """Returns where a node is; its column counts bytes of UTF-8."""
        before = self.lines[line - 1].encode()[:column].decode()
        return self.start(line) + len(before)

    def before(self, node: ast.stmt) -> str:
        """Returns what stands before a node in its line."""
        return self.source[self.start(node.lineno) : self.place(node.lineno, node.col_offset)]

    def indent(self, line: int) -> str:
        """Returns the indentation of a line."""
        text = self.lines[line - 1]
        return text[: len(text) - len(text.lstrip(" \t\f"))]

    def with_lines(self, line: int, added: list[str]) -> str:
        """Returns the source with lines put before one of its own; the last line gets an end if it has none."""
        at = self.start(line)
        head = self.source[:at]
        if head and not head.endswith(("\n", "\r")):
            return head + "".join(f"{self.newline}{text}" for text in added) + self.source[at:]
        return head + "".join(f"{text}{self.newline}" for text in added) + self.source[at:]


def decoded(content: bytes) -> tuple[str, str]:
    """Returns the text of a Python file and its encoding, which gives back the same bytes.

    Raises:
        SyntaxError: It declares an encoding that is none.
        UnicodeDecodeError: It is not in its encoding.
    """
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    return content.decode(encoding), encoding
