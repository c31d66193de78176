"""What the files of a project contain, so that a change is a change of content and nothing else.

Editors save in many ways: in place, to a second file that is renamed, by deleting first. None of that is looked at.
The folders are walked, what looks touched is read again, and two snapshots tell what is different.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["SUFFIXES", "Scope", "Snapshot", "different"]

SUFFIXES: Final = frozenset({".py", ".proto", ".yaml", ".yml", ".json", ".toml", ".env"})
"""What a running app may be made of."""

_NEVER = frozenset({"__pycache__", "node_modules"})
_ARTEFACTS = frozenset({"build", "dist"})  # unless it is a package
_Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Scope:
    """What belongs to a project.

    Attributes:
        root: Its folder.
        without: Folders in it that are written by tools, relative to ``root``.
        besides: Single files, wherever they are.
    """

    root: Path
    without: tuple[str, ...] = ()
    besides: tuple[Path, ...] = ()

    def folders(self) -> Iterator[tuple[Path, list[str]]]:
        """Yields each folder with the names of the files in it that count."""
        without = {self.root / folder for folder in self.without}
        for name, folders, files in os.walk(self.root):
            here = Path(name)
            folders[:] = sorted(each for each in folders if here / each not in without and _counts(here / each))
            yield here, [file for file in files if is_source(file)]

    def files(self) -> Iterator[Path]:
        """Yields the files that count."""
        for folder, names in self.folders():
            yield from (folder / name for name in names)
        yield from self.besides

    def label(self, path: Path) -> str:
        """Returns a path as a person would say it: from the root, if it is inside."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def is_source(name: str) -> bool:
    """Tells whether a file may be part of an app; what editors keep beside it is not."""
    return (os.path.splitext(name)[1] in SUFFIXES and not name.startswith((".#", "._"))) or name.startswith(".env")


def _counts(folder: Path) -> bool:
    if folder.name.startswith(".") or folder.name in _NEVER or (folder / "pyvenv.cfg").exists():
        return False
    return folder.name not in _ARTEFACTS or (folder / "__init__.py").exists()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The contents of files at a moment.

    Attributes:
        digests: A digest by path.
        empty: The files without content.
    """

    digests: Mapping[Path, bytes] = field(default_factory=dict[Path, bytes])
    empty: frozenset[Path] = frozenset()
    _stamps: Mapping[Path, _Stamp] = field(default_factory=dict[Path, _Stamp])

    @classmethod
    def of(cls, files: Iterable[Path], before: Snapshot | None = None) -> Snapshot:
        """Takes a snapshot; a file that nobody touched since the one before is not read."""
        known = before or cls()
        digests: dict[Path, bytes] = {}
        stamps: dict[Path, _Stamp] = {}
        for path in files:
            try:
                status = path.stat()
                stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
                is_same = known._stamps.get(path) == stamp
                digests[path] = known.digests[path] if is_same else hashlib.blake2b(path.read_bytes()).digest()
            except OSError:  # gone since the folder was read, or not ours to read
                continue
            stamps[path] = stamp
        return cls(digests, frozenset(path for path, stamp in stamps.items() if stamp[2] == 0), stamps)


def different(before: Snapshot, after: Snapshot) -> frozenset[Path]:
    """Returns the files whose content changed, came or went."""
    paths = before.digests.keys() | after.digests.keys()
    return frozenset(path for path in paths if before.digests.get(path) != after.digests.get(path))
