"""Where lines go: a stream or a file, written in one go."""

from __future__ import annotations

import os
import select
import sys
import threading
from typing import Protocol, TextIO, TypeAlias, cast

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
    data = text.encode(encoding, "backslashreplace")
    number = _descriptor(stream)
    if number is None:
        stream.write(data.decode(encoding))
        stream.flush()
    else:
        stream.flush()  # what others have printed comes first
        with _turn:
            _write(number, data)


# Lines of several logs share a stream, and a long write into a pipe is not one piece.
_turn = threading.Lock()


def _descriptor(stream: Stream) -> int | None:
    """Returns the descriptor of a standard stream of the process, None for any other.

    A thread that waits inside of Python's own buffer when the process ends takes the whole process down with it.
    """
    if os.name == "nt" or stream not in (sys.__stderr__, sys.__stdout__):
        return None
    try:
        return cast("TextIO", stream).fileno()
    except (OSError, ValueError):
        return None


def _write(number: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(number, rest) :]
        except BlockingIOError:  # whoever shares the terminal has made it so
            select.select([], [number], [])


def _forget() -> None:
    """Lets a forked child write, whoever was writing in its parent."""
    global _turn  # noqa: PLW0603 - a lock cannot be taken from a thread that is not there
    _turn = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def is_terminal(to: Destination) -> bool:
    """Whether a person reads it as it is written."""
    if isinstance(to, str | os.PathLike):
        return False
    isatty = getattr(to or sys.stderr, "isatty", None)
    return isatty is not None and bool(isatty())
