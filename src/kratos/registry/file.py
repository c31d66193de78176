"""The embedded registry: a folder that the processes of one machine share, and no server.

Each process has a file there that it has locked, and beside it the records of its instances. The system lets go of the
lock when the process ends, however it ends, and nobody believes records without one.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import stat
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import quote

from kratos.development import in_development
from kratos.registry.base import Instance
from kratos.registry.locks import Lock, is_locked
from kratos.registry.patience import Patience
from kratos.registry.record import Neighbours, encode
from kratos.registry.supervised import SupervisedRegistry

__all__ = ["FileRegistry", "embedded"]

_CHECK_SECONDS: Final = 2.0  # between two looks at whether our own records are still there
_LONGEST: Final = 100  # of a name in a file's name; what is longer is cut and gets a hash

_Stamp: TypeAlias = tuple[int, int, int]


class FileRegistry(SupervisedRegistry):
    """Registrar and discovery for the processes of one user on one machine.

    Args:
        folder: The folder that they share; one in the system's temporary folder that belongs to the user if not given.
        every: How often a watch looks for changes, in seconds.
        patience: How long the folder is waited for.

    Raises:
        ValueError: ``every`` is not positive.
    """

    def __init__(
        self, folder: str | os.PathLike[str] | None = None, *, every: float = 0.25, patience: Patience | None = None
    ) -> None:
        if not every > 0:
            raise ValueError(f"every is {every!r}: it must be a positive number of seconds")
        super().__init__("file", patience)
        self._is_ours = folder is None
        self._folder = _usual() if folder is None else Path(folder)
        self._every = every
        self._neighbours = Neighbours("file")
        self._lock: Lock | None = None
        self._written: dict[tuple[str, str], Path] = {}
        self._swept: set[Path] = set()

    def __str__(self) -> str:
        """Where it is, for the banner."""
        return f"embedded registry in {self._folder}"

    async def hold(self, instance: Instance, found: Callable[[], None], /) -> None:
        """Writes the record, and looks now and then whether it is still there; see ``Keeper``.

        It writes in the event loop: it takes microseconds, and a thread could not be called back.
        """
        path, lock = self._write(instance)
        stamp = _stamp(path)
        found()
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            if self._lock is not lock or not lock.stands or _stamp(path) != stamp:
                return

    async def forget(self, instance: Instance, /) -> None:
        """Removes the record, and the lock with the last one; see ``Keeper``."""
        path = self._written.pop((instance.name, instance.id), None)
        if path is not None:
            path.unlink(missing_ok=True)
        if not self._written:
            self._release()

    async def lists(self, name: str, /) -> AsyncGenerator[Iterable[Instance], None]:
        """Looks into the folder, again and again, in a thread; see ``Lister``."""
        known: dict[str, tuple[_Stamp, Instance | None]] = {}
        while True:
            yield await asyncio.to_thread(self._read, name, known)
            await asyncio.sleep(self._every)

    async def aclose(self) -> None:
        """Ends watches and registrations, and removes what is left of them."""
        await super().aclose()
        for path in self._written.values():
            path.unlink(missing_ok=True)
        self._written.clear()
        self._release()

    def _write(self, instance: Instance) -> tuple[Path, Lock]:
        data = encode(instance)
        lock = self._locked()
        folder = self._folder / _quoted(instance.name)
        folder.mkdir(exist_ok=True)
        if folder not in self._swept:
            self._swept.add(folder)
            self._sweep(folder)
        path = folder / f"{_quoted(instance.id)}@{lock.path.stem}.json"
        beside = path.with_suffix(".new")
        beside.write_bytes(data)
        beside.replace(path)
        before = self._written.get((instance.name, instance.id), path)
        self._written[instance.name, instance.id] = path
        if before != path:  # of a lock that is gone
            before.unlink(missing_ok=True)
        return path, lock

    def _locked(self) -> Lock:
        if self._lock is None or not self._lock.stands:
            self._release()
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700 if self._is_ours else 0o777)
            if self._is_ours:
                _verify(self._folder)
            self._lock = Lock(self._folder / f"{os.getpid()}-{secrets.token_hex(4)}.lock")
        return self._lock

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        self._swept.clear()
        if lock is not None:
            lock.release()

    def _sweep(self, folder: Path) -> None:
        """Removes what the dead have left."""
        living: dict[str, bool] = {}
        for path in folder.glob("*.json"):
            if not self._lives(path.name, living):
                with contextlib.suppress(OSError):
                    path.unlink()
        for owner, lives in living.items():
            if not lives:
                with contextlib.suppress(OSError):
                    (self._folder / f"{owner}.lock").unlink()

    def _lives(self, name: str, living: dict[str, bool]) -> bool:
        """Returns whether the process that has written a record is alive; ``living`` remembers what was found out."""
        owner = name.removesuffix(".json").rpartition("@")[2]
        if owner not in living:
            living[owner] = is_locked(self._folder / f"{owner}.lock")
        return living[owner]

    def _read(self, name: str, known: dict[str, tuple[_Stamp, Instance | None]]) -> list[Instance]:
        """Returns who serves; ``known`` has the records that were read already, by their files."""
        found: dict[str, tuple[_Stamp, Instance | None]] = {}
        living: dict[str, bool] = {}
        if self._is_ours and self._folder.exists():
            _verify(self._folder)
        try:
            entries = list(os.scandir(self._folder / _quoted(name)))
        except FileNotFoundError:
            entries = []
        for entry in entries:
            if not entry.name.endswith(".json") or not self._lives(entry.name, living):
                continue
            stamp = _stamp(entry)
            if stamp is not None:
                before = known.get(entry.name)
                found[entry.name] = (
                    before if before is not None and before[0] == stamp else (stamp, self._decoded(entry.path))
                )
        known.clear()
        known.update(found)
        youngest: dict[str, tuple[_Stamp, Instance]] = {}  # of two records of one id it counts
        for stamp, instance in found.values():
            if instance is not None and (instance.id not in youngest or youngest[instance.id][0] < stamp):
                youngest[instance.id] = stamp, instance
        return [instance for _, instance in youngest.values()]

    def _decoded(self, path: str) -> Instance | None:
        try:
            data = Path(path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as failure:
            self._neighbours.skip(path, str(failure), failure)
            return None
        return self._neighbours.read(path, data)


def embedded() -> FileRegistry | None:
    """Returns the registry of this machine where programs are developed (``KRATOS_ENV=development``), else None."""
    return FileRegistry() if in_development() else None


def _stamp(path: Path | os.DirEntry[str]) -> _Stamp | None:
    """Returns by what a file is known to be the same one as before; None if it is gone."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _quoted(text: str) -> str:
    """Returns a text as the name of a file that is neither hidden nor leads elsewhere."""
    quoted = quote(text, safe="").replace(".", "%2E")
    if len(quoted) <= _LONGEST:
        return quoted
    return f"{quoted[:_LONGEST]}-{hashlib.sha256(text.encode()).hexdigest()}"


def _usual() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else ""
    return Path(tempfile.gettempdir(), f"kratos-registry-{user}".rstrip("-"))


def _verify(folder: Path) -> None:
    """Sees to it that the folder is the user's own: anybody may make one of this name in the temporary folder.

    Raises:
        PermissionError: It is somebody else's.
    """
    found = folder.lstat()
    if not hasattr(os, "getuid"):
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(
            f"{folder} may be written by others, so nobody can trust what it says: remove it, or pass another folder"
        )
