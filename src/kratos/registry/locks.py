"""Files that are locked for as long as a process lives: the system lets go of them, however it ends.

Its children have no part in that: a lock belongs to all processes that have the file open, so a child that was forked
closes it at once. That does not unlock it for its parent.
"""

from __future__ import annotations

import contextlib
import os
import sys
from functools import cache
from pathlib import Path
from typing import Final
from weakref import WeakSet

__all__ = ["Lock", "is_locked"]

_AT: Final = 1 << 30  # on Windows what is locked cannot be read, and nothing is here

_CLOSED: Final = -1


class Lock:
    """A file that is locked until it is released.

    Args:
        path: The file, which is made.

    Raises:
        OSError: It cannot be made, or somebody else has locked it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if not _lock(self._descriptor, shared=False):
            os.close(self._descriptor)
            raise BlockingIOError(f"{path} is locked by another process")
        _held.add(self)
        _part_from_children()

    @property
    def stands(self) -> bool:
        """Whether others see the lock: somebody may have removed the file."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except OSError:
            return False

    def release(self) -> None:
        """Lets go of the file and removes it."""
        stands = self.stands
        self.part()
        if stands:
            with contextlib.suppress(OSError):
                self.path.unlink()

    def part(self) -> None:
        """Closes the file: it stays locked if another process has it open."""
        descriptor, self._descriptor = self._descriptor, _CLOSED
        _held.discard(self)
        if descriptor != _CLOSED:
            os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Returns whether a process holds the lock; looking does not get in the way of others who look."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _lock(descriptor, shared=True)
    finally:
        os.close(descriptor)


_held: Final[WeakSet[Lock]] = WeakSet()
"""The locks of this process. The system tells of a fork, and that cannot be ended, so it is asked for once."""


@cache
def _part_from_children() -> None:
    if sys.platform == "win32":
        return  # nothing is forked there
    os.register_at_fork(after_in_child=_part)


def _part() -> None:
    for lock in [*_held]:
        lock.part()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int, *, shared: bool) -> bool:
        del shared  # there is one kind
        os.lseek(descriptor, _AT, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(descriptor: int, *, shared: bool) -> bool:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
