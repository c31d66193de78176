"""``Look``: sees what has become of files, by asking for their stamps from time to time.

No notification of the system: those do not come over NFS or from other containers, editors and Kubernetes rename what
is watched, and each system has another kind. A stamp has device, inode, size and times of what a name leads to, so a
file that was replaced, or a link that was turned, has another one. Where a stamp is too young to tell, contents are
compared; they are in the end too, so a file that was only touched has not changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

__all__ = ["Files", "Look", "Unreadable"]

SETTLE_SECONDS: Final = 0.1
"""How long files have to stay as they are before they are read: somebody may still be writing them."""
HOLLOW_SECONDS: Final = 1.0
"""The same where one that had something in it is empty or gone: an editor is about to write it."""
PATIENCE_SECONDS: Final = 10.0
"""Files that never stay as they are get read after this anyway."""
EXACT_SECONDS: Final = 2.1
"""How coarse the times of a file system are at worst."""

Stamp: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a file or folder cannot be read.

    Attributes:
        why: The system's words.
        missing: Whether it is not there.
    """

    why: str
    missing: bool = False

    @classmethod
    def of(cls, error: OSError) -> Unreadable:
        """Returns what an error says."""
        return cls((error.strerror or str(error)).lower(), isinstance(error, FileNotFoundError))


@dataclass(frozen=True, slots=True)
class Files:
    """Files as they were at one time.

    Attributes:
        held: What each of them held, in their order.
        stamps: What was known of each before it was read; None for one that could not be asked.
        sure: Whether other contents would have other stamps.
    """

    held: Mapping[Path, bytes | Unreadable]
    stamps: Mapping[Path, Stamp | None]
    sure: bool


class Look:
    """Follows files from one look to the next. Used by one thread at a time.

    Args:
        top: What stands in the place of the files where they cannot be listed.
        listed: Returns the files, in order.
    """

    def __init__(self, top: Path, listed: Callable[[], tuple[Path, ...]]) -> None:
        self._top = top
        self._listed = listed
        self._taken = Files({}, {}, sure=False)
        self._seen: Mapping[Path, Stamp | None] = {}
        self._since = 0.0  # when what was seen last was seen first
        self._began = 0.0  # when something else than what was taken was seen first

    @property
    def settling(self) -> bool:
        """Whether something has changed that may not be complete yet: look again soon."""
        return self._seen != self._taken.stamps

    def take(self, files: Files) -> None:
        """Makes these the files that others are compared with."""
        self._taken = files
        self._seen = files.stamps

    def read(self) -> Files:
        """Reads the files as they are."""
        sure_before = (time.time() - EXACT_SECONDS) * 1e9
        try:
            paths = self._listed()
        except OSError as error:
            return Files({self._top: Unreadable.of(error)}, self._stamps(), sure=True)
        stamps = {path: _stamp(path) for path in paths}
        sure = all(stamp is None or max(stamp[-2:]) < sure_before for stamp in stamps.values())
        return Files({path: _content(path) for path in paths}, stamps, sure)

    def look(self, now: float) -> Files | None:
        """Returns the files if they hold something else than those that were taken, and stay so; else None.

        Args:
            now: The time in seconds, of any clock that goes forward.
        """
        stamps, taken = self._stamps(), self._taken
        if stamps == taken.stamps:
            self._seen = stamps
            return None if taken.sure else self._compared(self.read())
        if not self.settling:
            self._began = now
        if stamps != self._seen:
            self._seen, self._since = stamps, now
        patient = now - self._began < PATIENCE_SECONDS
        if patient and now - self._since < (HOLLOW_SECONDS if self._hollow(stamps) else SETTLE_SECONDS):
            return None
        files = self.read()
        after = self._stamps()
        if patient and not files.stamps == stamps == after:
            self._seen, self._since = after, now
            return None
        return self._compared(files)

    def _compared(self, files: Files) -> Files | None:
        if files.held != self._taken.held:
            return files
        self.take(files)
        return None

    def _stamps(self) -> Mapping[Path, Stamp | None]:
        try:
            return {path: _stamp(path) for path in self._listed()}
        except OSError:
            return {self._top: None}

    def _hollow(self, stamps: Mapping[Path, Stamp | None]) -> bool:
        """Tells whether a file that held something is gone or empty."""
        held = [path for path, content in self._taken.held.items() if isinstance(content, bytes) and content]
        return any((stamp := stamps.get(path)) is None or stamp[2] == 0 for path in held)


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mode, found.st_mtime_ns, found.st_ctime_ns


def _content(path: Path) -> bytes | Unreadable:
    try:
        return path.read_bytes()
    except OSError as error:
        return Unreadable.of(error)
