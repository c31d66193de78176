"""Development and production: what a server shows to whoever asks depends on it."""

from __future__ import annotations

import os
import sys
from typing import Final

__all__ = ["VARIABLE", "has_debugger", "in_development"]

VARIABLE: Final = "KRATOS_ENV"
"""``kratos run`` sets it to ``development`` in a terminal; nothing else does."""


def in_development() -> bool:
    """Tells whether the process runs on a developer's machine, by ``KRATOS_ENV=development``."""
    return os.environ.get(VARIABLE) == "development"


def has_debugger() -> bool:
    """Tells whether an editor's debugger is in the process: somebody may sit at a breakpoint."""
    return "pydevd" in sys.modules
