"""Where lines go: a stream or a file, written in one go."""

from __future__ import annotations

import os
import sys
from typing import Protocol, TypeAlias

__all__ = ["Destination", "Stream", "is_terminal", "write"]


class Stream(Protocol):
    """What text can be written to: ``sys.stdout``, an open file, ``io.StringIO()``."""

    def write(self, text: str, /) -> object:
        """Takes text."""
        ...

    def flush(self) -> object:
        """Sends it on."""
        ...


Destination: TypeAlias = "str | os.PathLike[str] | Stream | None"
"""The path of a file to append to, or a stream; None is whatever ``sys.stderr`` is when something is written."""


def write(to: Destination, text: str) -> None:
    """Writes text in one go. What the stream's encoding has no letter for is written as an escape.

    Raises:
        OSError: It cannot be written.
        ValueError: The stream is closed.
    """
    if isinstance(to, str | os.PathLike):
        # Opened each time: whoever rotates the file need not tell us.
        with open(to, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        return
    stream = to or sys.stderr
    if stream is None:  # a program without a console
        return
    encoding: str = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def is_terminal(to: Destination) -> bool:
    """Whether a person reads it as it is written."""
    if isinstance(to, str | os.PathLike):
        return False
    isatty = getattr(to or sys.stderr, "isatty", None)
    return isatty is not None and bool(isatty())
