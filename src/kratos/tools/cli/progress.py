"""A sign of life for what takes longer than one likes to wait: one line on a terminal, nothing anywhere else."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from kratos.tools.cli.terminal import paint

__all__ = ["progress"]

_PATIENCE: Final = 0.5
_STEP: Final = 0.1
_CLEAR: Final = "\r\x1b[K"


@contextmanager
def progress(what: str) -> Generator[None]:
    """Shows what is being done and for how long, once it has taken half a second; the line is gone at the end."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_tick, args=(what, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _tick(what: str, done: threading.Event) -> None:
    start = time.monotonic()
    wait = _PATIENCE
    drawn = False
    while not done.wait(wait):
        sys.stderr.write(f"{_CLEAR}{paint(f'{what} … {time.monotonic() - start:.1f} s', 'faint', sys.stderr)}")
        sys.stderr.flush()
        wait, drawn = _STEP, True
    if drawn:
        sys.stderr.write(_CLEAR)
        sys.stderr.flush()
