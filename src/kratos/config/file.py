"""``File``: a file, or a folder of files: YAML, JSON or TOML by their names."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

from kratos.config.base import EMPTY, ConfigError, Layer, Node, Place, Problem
from kratos.config.document import FORMATS, read
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
    """

    def __init__(self, path: str | os.PathLike[str], *, optional: bool = False) -> None:
        self._path = Path(path)
        self._optional = optional

    @property
    def name(self) -> str:
        """The path, as it was given."""
        return str(self._path)

    async def load(self) -> Layer:
        """Reads the files, in a thread."""
        return Layer(await asyncio.to_thread(self._read))

    def _read(self) -> Node:
        try:
            if self._path.is_dir():
                return self._folder()
            return _file(self._path)
        except FileNotFoundError:
            if self._optional:
                return EMPTY
            where = "" if self._path.is_absolute() else f" (looked in {Path.cwd()})"
            raise ConfigError([Problem(f"no such file or folder{where}", place=Place(self.name))]) from None
        except OSError as error:
            raise ConfigError([_unreadable(self._path, error)]) from None

    def _folder(self) -> Node:
        root = EMPTY
        problems: list[Problem] = []
        files = [path for path in sorted(self._path.iterdir()) if not path.name.startswith(".") and _readable(path)]
        known = [path for path in files if path.suffix.lower() in FORMATS]
        for path in files:
            if path not in known and not path.name.endswith(("~", "#")):
                logger.info("%s is not read: configuration is in %s", path, ", ".join(FORMATS))
        for path in known:
            try:
                root = merge(root, _file(path))
            except ConfigError as error:
                problems += error.problems
            except OSError as error:
                problems.append(_unreadable(path, error))
        if not known and not self._optional:
            what = f"nothing to read in this folder: no {', '.join(FORMATS)}"
            problems.append(Problem(what, place=Place(self.name)))
        if problems:
            raise ConfigError(problems)
        return root


def _readable(path: Path) -> bool:
    """Tells whether to read a path; a link to nowhere is read, so that somebody hears of it."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _file(path: Path) -> Node:
    data = path.read_bytes()
    known = FORMATS.get(path.suffix.lower())
    if known is None:
        raise ConfigError([Problem(f"neither of {', '.join(FORMATS)}", place=Place(str(path)))])
    return read(data, known, str(path))


def _unreadable(path: Path, error: OSError) -> Problem:
    why = (error.strerror or str(error)).lower()
    return Problem(f"cannot be read: {why}", place=Place(str(error.filename or path)))
