"""Makes projects: all of it, or nothing."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
import tomllib
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from kratos.tools.codegen.project import Project, generate
from kratos.tools.failure import USAGE, Failure
from kratos.tools.scaffold.names import Names
from kratos.tools.scaffold.record import RECORD, Record, contents
from kratos.tools.scaffold.template import Template
from kratos.version import __version__

__all__ = ["OLDEST_PYTHON", "PORTS", "Made", "check", "fill", "make", "variables"]

OLDEST_PYTHON: Final = "3.11"
"""The oldest Python that projects are made for."""

PORTS: Final = (8000, 9000, 9100)
"""Where the first app of a project listens: HTTP, then gRPC."""


@dataclass(frozen=True, slots=True)
class Made:
    """A project that was made.

    Attributes:
        names: What it is called, and where it is.
        layout: What it was made from.
        files: Its files, as paths below its folder.
    """

    names: Names
    layout: str
    files: tuple[str, ...]


def variables(names: Names, layout: str, *, gen: str = "", ports: tuple[int, int, int] = PORTS) -> dict[str, str]:
    """Returns what templates are filled in with.

    Args:
        names: What is made.
        layout: What it is made from.
        gen: Where generated code is imported from; the project's own ``gen`` if not given.
        ports: Where it listens: HTTP, gRPC, then for operators.
    """
    return {
        "name": names.name,
        "package": names.package,
        "kratos": __version__,
        "python": OLDEST_PYTHON,
        "layout": layout,
        "gen": gen or f"{names.package}.gen",
        "http_port": str(ports[0]),
        "grpc_port": str(ports[1]),
        "admin_port": str(ports[2]),
    }


def check(names: Names) -> None:
    """Makes sure that there is room for a project.

    Raises:
        Failure: Something is there already.
    """
    if not os.path.lexists(names.root):
        return
    if not names.root.is_dir():
        raise Failure(f"{names.root} is there already, and is no folder", code=USAGE)
    try:
        first = next(names.root.iterdir(), None)
    except OSError as error:
        raise _cannot(names, error) from error
    if first is not None:
        raise Failure(
            f"{names.root} is not empty: {first.name} is in it. Nothing was changed",
            hint=f"kratos new {shlex.quote(_free(names.root))}",
            code=USAGE,
        )


def make(names: Names, template: Template) -> Made:
    """Makes a project of a template.

    It is put together in a temporary folder beside its place and moved there as a whole: whatever goes wrong before,
    Ctrl-C included, leaves nothing behind.

    Raises:
        Failure: It cannot be made; nothing was changed.
    """
    check(names)
    found = template.files()
    try:
        with _workshop(names.root) as folder:
            files = template.render(found, variables(names, template.layout), folder)
            files += _recorded(folder, names, template.layout, files)
            _move(folder, names)
    except OSError as error:
        raise _cannot(names, error) from error
    return Made(names, template.layout, tuple(sorted(files)))


def _recorded(folder: Path, names: Names, layout: str, files: list[str]) -> list[str]:
    """Lets a project that says so in its settings remember what it was made from; returns the file for that."""
    try:
        settings = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        wanted = "scaffold" in settings.get("tool", {}).get("kratos", {})
    except (OSError, ValueError):
        return []
    if not wanted:
        return []
    Record(layout, __version__, names.name, names.package, contents(folder, files)).write(folder)
    return [RECORD]


def fill(made: Made) -> Made:
    """Generates the code of a project, if it has any to generate.

    Raises:
        Failure: Its protos or its settings are wrong.
    """
    root = made.names.root
    if not _generates(root / "pyproject.toml"):
        return made
    written = [path.relative_to(root).as_posix() for path in generate(Project.load(root)).written]
    return Made(made.names, made.layout, tuple(sorted({*made.files, *written})))


def _generates(path: Path) -> bool:
    """Tells whether a project has a ``[tool.kratos]`` table, or settings that cannot be read: that has to be told."""
    try:
        return "kratos" in tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except FileNotFoundError:
        return False
    except ValueError:
        return True


@contextmanager
def _workshop(target: Path) -> Generator[Path, None, None]:
    """Yields an empty folder on the disk of the target; what it needs is made, and taken away if it is not used."""
    missing = [folder for folder in target.parents if not folder.exists()]
    place = target if target.is_dir() else target.parent
    place.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=place))
    try:
        project = folder / "project"
        project.mkdir()
        yield project
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for parent in missing:
            with suppress(OSError):  # the project is in it
                parent.rmdir()


def _move(folder: Path, names: Names) -> None:
    """Puts a project into its place; a folder that was there and is empty stays the folder it is."""
    if not names.root.is_dir():
        check(names)
        os.rename(folder, names.root)
        return
    moved: list[Path] = []
    try:
        for path in sorted(folder.iterdir()):
            moved.append(path)
            os.rename(path, names.root / path.name)
    except BaseException:
        for path in moved:
            with suppress(OSError):
                os.rename(names.root / path.name, path)
        raise


def _free(taken: Path) -> str:
    """Returns the nearest path where nothing is yet, as somebody would type it here."""
    paths = (taken.with_name(f"{taken.name}-{number}") for number in count(2))
    free = next(path for path in paths if not os.path.lexists(path))
    return os.path.relpath(free) if free.is_relative_to(Path.cwd()) else str(free)


def _cannot(names: Names, error: OSError) -> Failure:
    where = f" ({error.filename})" if error.filename else ""
    return Failure(f"cannot make {names.root}: {error.strerror or error}{where}")
