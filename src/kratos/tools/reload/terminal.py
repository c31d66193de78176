"""The terminal: a process that is killed while a debugger reads from it leaves it without an echo."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

__all__ = ["restored"]

_termios: Any = import_module("termios") if find_spec("termios") else None  # absent on Windows


@contextmanager
def restored() -> Generator[None]:
    """Gives the terminal on stdin its settings back at the end, if there is one and it is ours."""
    if _termios is None or not _is_terminal():
        yield
        return
    handle = sys.stdin.fileno()
    before = _termios.tcgetattr(handle)
    try:
        yield
    finally:
        with suppress(OSError, _termios.error):  # the terminal is closed
            if os.tcgetpgrp(handle) == os.getpgrp():  # in the background the system would stop us for it
                _termios.tcsetattr(handle, _termios.TCSANOW, before)


def _is_terminal() -> bool:
    try:
        return sys.stdin.isatty()
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False
