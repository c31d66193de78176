"""Waits for changes of a project's files.

The system's notices only say when to look. What changed follows from two snapshots, so neither the way in which an
editor saves nor a notice that got lost makes a difference.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from watchfiles import watch

from kratos.tools.failure import Failure
from kratos.tools.reload.snapshot import Scope, Snapshot, different, is_source

__all__ = ["Change", "Watch"]

_QUIET_MS = 50  # without a notice: a burst is over
_BURST_MS = 2000  # at most; a checkout of many files comes as one
_LOOK_MS = 500  # how soon it is noticed that nobody waits any more
_MISSING_SECONDS = 0.4  # for a file that was deleted or emptied to come back: some editors save like that
_STEP_SECONDS = 0.05

# Where the system cannot watch a tree for us each folder is watched, and those that do not count cost nothing.
_IS_RECURSIVE = sys.platform != "linux"


@dataclass(frozen=True, slots=True)
class Change:
    """Files whose content is different now.

    Attributes:
        paths: The files.
        since: When they were saved, by ``time.monotonic()``, as near as can be known.
    """

    paths: frozenset[Path]
    since: float

    def __or__(self, other: Change) -> Change:
        return Change(self.paths | other.paths, min(self.since, other.since))


class Watch:
    """The files of a project under observation.

    Args:
        scope: What belongs to the project.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._stop = threading.Event()
        self._polls = False
        self._now = Snapshot.of(scope.files())

    def __len__(self) -> int:
        """Returns how many files are watched."""
        return len(self._now.digests)

    def stop(self) -> None:
        """Ends ``changes``, soon."""
        self._stop.set()

    def changes(self) -> Iterator[Change]:
        """Yields changes, for as long as it is not stopped; it blocks, so it wants a thread of its own.

        Raises:
            Failure: The system does not let us watch.
        """
        while not self._stop.is_set():
            try:
                yield from self._until_folders_change()
            except FileNotFoundError:  # a folder went while we began to watch it
                continue
            except OSError as failure:
                if self._polls:
                    raise Failure(f"cannot watch {self.scope.root}: {failure}") from failure
                self._polls = True  # the system's watches are used up: looking every so often always works

    def _until_folders_change(self) -> Iterator[Change]:
        folders = self._folders()
        notices = watch(
            *sorted(folders),
            watch_filter=lambda _, path: self._matters(Path(path)),
            debounce=_BURST_MS,
            step=_QUIET_MS,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            stop_event=self._stop,
            raise_interrupt=False,
            force_polling=True if self._polls else None,
            recursive=_IS_RECURSIVE,
            ignore_permission_denied=True,
        )
        is_new = True
        for notice in notices:
            if not notice and not is_new:
                continue
            is_new = False  # what happened before the first watch is found by looking once without a notice
            since = time.monotonic() - _QUIET_MS / 1000
            if paths := self._look():
                yield Change(paths, since)
            if self._folders() != folders:
                return

    def _look(self) -> frozenset[Path]:
        """Takes a new snapshot and returns what is different; what seems to be in the middle of a save is awaited."""
        before, fresh = self._now, Snapshot.of(self.scope.files(), self._now)
        patience = time.monotonic() + _MISSING_SECONDS
        while _is_unfinished(before, fresh) and time.monotonic() < patience and not self._stop.wait(_STEP_SECONDS):
            fresh = Snapshot.of(self.scope.files(), fresh)
        self._now = fresh
        return different(before, fresh)

    def _folders(self) -> frozenset[Path]:
        beside = {path.parent for path in self.scope.besides}
        if _IS_RECURSIVE:
            return frozenset({self.scope.root, *beside})
        return frozenset({*(folder for folder, _ in self.scope.folders()), *beside})

    def _matters(self, path: Path) -> bool:
        return is_source(path.name) or path in self.scope.besides or not path.suffix or path.is_dir()


def _is_unfinished(before: Snapshot, fresh: Snapshot) -> bool:
    return bool(before.digests.keys() - fresh.digests.keys() or fresh.empty - before.empty - _new(before, fresh))


def _new(before: Snapshot, fresh: Snapshot) -> frozenset[Path]:
    return frozenset(fresh.digests.keys() - before.digests.keys())
