"""What a tool could not do, in words that help: what, where, and what to do about it.

The build hook uses this module before the package is installed, so it stands on the standard library alone.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FAILED", "INTERRUPTED", "USAGE", "Failure"]

FAILED: Final = 1
"""Exit code: what was asked for could not be done."""

USAGE: Final = 2
"""Exit code: the command line is wrong, or would do harm; nothing was done."""

INTERRUPTED: Final = 130
"""Exit code: Ctrl-C ended it before it was done; what shells report for SIGINT."""


class Failure(Exception):
    """Something a person can do something about. It is shown without a traceback.

    Args:
        message: What went wrong and where: one line, or one line per place.
        hint: What to do, most helpful as a command to type.
        code: The exit code of the command.
    """

    def __init__(self, message: str, *, hint: str = "", code: int = FAILED) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code
