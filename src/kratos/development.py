"""Development and production: what a server shows to whoever asks depends on it."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["VARIABLE", "in_development"]

VARIABLE: Final = "KRATOS_ENV"
"""``kratos run`` sets it to ``development`` in a terminal; nothing else does."""


def in_development() -> bool:
    """Tells whether the process runs on a developer's machine, by ``KRATOS_ENV=development``."""
    return os.environ.get(VARIABLE) == "development"
