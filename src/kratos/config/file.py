"""``File``: a file, or a folder of files: YAML, JSON or TOML by their names."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

from kratos.aside import Aside
from kratos.config.base import EMPTY, ConfigError, Layer, Node, Place, Problem, State
from kratos.config.document import FORMATS, read
from kratos.config.look import SETTLE_SECONDS, Files, Look, Unreadable
from kratos.config.merge import merge

__all__ = ["File"]

logger = logging.getLogger("kratos.config")


class File:
    """A file, or the files of a folder in the order of their names, later ones over earlier ones.

    Of a folder the files named ``.yaml``, ``.yml``, ``.json`` and ``.toml`` are read; what is hidden is not, so a
    ConfigMap that Kubernetes has mounted is read once, and folders in it are not either.

    Args:
        path: Where it is.
        optional: Whether it may be missing.
        every: How often a watch looks for changes, in seconds.

    Raises:
        ValueError: ``every`` is not positive.
    """

    def __init__(self, path: str | os.PathLike[str], *, optional: bool = False, every: float = 1.0) -> None:
        if not every > 0:
            raise ValueError(f"every is {every!r}: it must be a positive number of seconds")
        self._path = Path(path)
        self._optional = optional
        self._every = every
        self._aside = Aside("kratos config")
        self._look = Look(self._path, self._listed)

    @property
    def name(self) -> str:
        """The path, as it was given."""
        return str(self._path)

    async def load(self) -> Layer:
        """Reads the files, in a thread."""
        files, state = await self._aside(self._read)
        self._look.take(files)
        if isinstance(state, ConfigError):
            raise state
        return state

    async def watch(self) -> AsyncIterator[State]:
        """Yields what the files have become, each time they hold something else.

        Whoever saves a file in many steps has saved it when it has stayed as it is for a tenth of a second; a file that
        is empty or gone has to be so for a second.
        """
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(self._every, SETTLE_SECONDS) if self._look.settling else self._every)
            changed = await self._aside(self.look, loop.time())
            if changed is not None:
                # Here and not in the thread: a watch that was cancelled while it looked has told nobody.
                self._look.take(changed[0])
                yield changed[1]

    def look(self, now: float) -> tuple[Files, State] | None:
        """Looks once for ``watch``, and may block. What is found is found again until it is taken.

        Args:
            now: The time in seconds, of any clock that goes forward.
        """
        files = self._look.look(now)
        return None if files is None else (files, self._state(files))

    def _read(self) -> tuple[Files, State]:
        files = self._look.read()
        if self._path.is_dir():
            self._point_out(files)
        return files, self._state(files)

    def _listed(self) -> tuple[Path, ...]:
        if not self._path.is_dir():
            return (self._path,)
        return tuple(path for path in _shown(self._path) if path.suffix.lower() in FORMATS)

    def _point_out(self, files: Files) -> None:
        """Says which files of a folder are not read, and why."""
        try:
            others = [path for path in _shown(self._path) if path not in files.held]
        except OSError:  # it cannot be read, which is said elsewhere
            return
        for path in others:
            if not path.name.endswith(("~", "#")):
                logger.warning("%s is not read: configuration is in %s", path, ", ".join(FORMATS))

    def _state(self, files: Files) -> State:
        root = EMPTY
        problems: list[Problem] = []
        for path, content in files.held.items():
            try:
                root = merge(root, self._document(path, content))
            except ConfigError as error:
                problems += error.problems
        if not files.held and not self._optional:
            what = f"nothing to read in this folder: no {', '.join(FORMATS)}"
            problems.append(Problem(what, place=Place(self.name)))
        return ConfigError(problems) if problems else Layer(root)

    def _document(self, path: Path, content: bytes | Unreadable) -> Node:
        if isinstance(content, bytes):
            known = FORMATS.get(path.suffix.lower())
            if known is None:
                raise ConfigError([Problem(f"neither of {', '.join(FORMATS)}", place=Place(str(path)))])
            return read(content, known, str(path))
        if not content.missing or path != self._path:
            raise ConfigError([Problem(f"cannot be read: {content.why}", place=Place(str(path)))])
        if self._optional:
            return EMPTY
        where = "" if path.is_absolute() else f" (looked in {Path.cwd()})"
        raise ConfigError([Problem(f"no such file or folder{where}", place=Place(self.name))])


def _shown(folder: Path) -> list[Path]:
    """Returns the files of a folder that are not hidden; a link to nowhere is one, so that somebody hears of it."""
    found = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    return [path for path in found if path.is_file() or (path.is_symlink() and not path.exists())]
