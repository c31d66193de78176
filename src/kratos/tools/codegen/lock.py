"""One at a time: a lock between processes that the operating system frees when its holder ends, however it ends."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["exclusive"]

if sys.platform == "win32":
    import msvcrt
    import time

    def _lock(descriptor: int) -> None:
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)  # gives up after ten seconds
            except OSError:
                time.sleep(0.1)
            else:
                return
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)


@contextmanager
def exclusive(path: Path) -> Generator[None]:
    """Holds the lock that a file stands for; waits while another process, or thread, has it.

    The file stays: whoever removed it would take it from under one who waits for it.
    """
    with path.open("ab") as file:
        _lock(file.fileno())
        yield
