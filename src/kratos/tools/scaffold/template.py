"""Templates: folders of files, of which those that end in ``.jinja`` are filled in and all others are copied.

A template may come from anywhere, so it is not trusted: expressions run in jinja's sandbox, and neither a link nor a
path that is filled in leads out of the template or out of the project.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import FunctionLoader, StrictUndefined, TemplateNotFound, TemplateSyntaxError, select_autoescape
from jinja2.sandbox import SandboxedEnvironment

from kratos.tools.failure import USAGE, Failure
from kratos.tools.scaffold.names import slug

__all__ = ["LAYOUTS", "Template"]

LAYOUTS: Final = ("simple", "layered")
"""The templates that come with kratos."""

_TEMPLATES = Path(__file__).parents[1] / "templates"
_SUFFIX = ".jinja"
_DROPPED = frozenset({".git", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Template:
    """What a project is made of.

    Attributes:
        layout: What it is called.
        folders: Where its files are; a file of a later folder takes the place of one of the same name.
    """

    layout: str
    folders: tuple[Path, ...]

    @classmethod
    def built_in(cls, layout: str) -> Template:
        """Returns one of ``LAYOUTS``."""
        return cls(layout, (_TEMPLATES / "common", _TEMPLATES / layout))

    @classmethod
    def at(cls, folder: Path, *, layout: str = "") -> Template:
        """Returns the template in a folder, called like the folder if not said otherwise."""
        return cls(layout or folder.resolve().name, (folder,))

    def files(self) -> list[tuple[Path, Path]]:
        """Returns its files, each as folder and path below it.

        Raises:
            Failure: There are none, or something is neither a file nor a folder of the template.
        """
        found = [(folder, path) for folder in self.folders for path in _walk(folder)]
        if not found:
            raise Failure(f"there are no files in {self.folders[-1]}", code=USAGE)
        return found

    def render(self, files: list[tuple[Path, Path]], variables: Mapping[str, str], into: Path) -> list[str]:
        """Writes a project and returns its files, as paths below ``into``.

        Args:
            files: What ``files()`` returned.
            variables: What is filled in.
            into: The folder of the project; empty.

        Raises:
            Failure: A file cannot be filled in; the message has the place.
        """
        written: dict[str, Path] = {}
        for folder in self.folders:
            writer = _Writer(folder, variables)
            mine: dict[str, Path] = {}
            for path in (path for home, path in files if home == folder):
                name = writer.name(path)
                if name in mine:
                    raise Failure(f"{folder / path} and {folder / mine[name]} are both to be {name}")
                mine[name] = path
                writer.write(path, into / name)
            written |= mine
        return sorted(written)


def _walk(folder: Path) -> Iterator[Path]:
    inside = folder.resolve()
    for base, folders, files in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted({*folders} - _DROPPED)
        for name in sorted({*folders, *files} - _DROPPED):
            path = Path(base, name)
            if path.is_symlink() and not (path.is_file() and path.resolve().is_relative_to(inside)):
                raise Failure(f"{path} is a link that leads to no file of the template")
            if name in files:
                if not path.is_file():
                    raise Failure(f"{path} is neither a file nor a folder")
                yield path.relative_to(folder)


def _unreadable(error: OSError) -> None:
    raise Failure(f"cannot read {error.filename}: {error.strerror}") from error


class _Writer:
    """Fills in the files of one folder.

    Args:
        folder: Where they are.
        variables: What is filled in.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._folder = folder
        self._variables = variables
        self._jinja = _environment(folder)

    def name(self, path: Path) -> str:
        """Returns the path of a file in the project: each segment filled in, without the suffix."""
        parts = [self._filled(part, path) for part in path.parts]
        parts[-1] = parts[-1].removesuffix(_SUFFIX)
        for part in parts:
            if part in ("", ".", "..") or part.lower() == ".git" or any(sign in part for sign in "/\\\0\n"):
                raise Failure(f"{self._folder / path}: {part!r} cannot be the name of a file")
        return "/".join(parts)

    def write(self, path: Path, target: Path) -> None:
        """Writes one file."""
        source = self._folder / path
        content = self._rendered(path) if path.suffix == _SUFFIX else source.read_bytes()
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        if source.stat().st_mode & 0o111:
            readers = target.stat().st_mode & 0o444
            target.chmod(target.stat().st_mode | readers >> 2)  # whoever may read it may run it

    def _filled(self, part: str, path: Path) -> str:
        with _Blame(self._folder, path):
            return self._jinja.from_string(part).render(self._variables)

    def _rendered(self, path: Path) -> bytes:
        with _Blame(self._folder, path):
            return self._jinja.get_template(path.as_posix()).render(self._variables).encode()


def _environment(folder: Path) -> SandboxedEnvironment:
    inside = folder.resolve()

    def load(name: str) -> tuple[str, str, None] | None:
        path = folder / name
        if not path.resolve().is_relative_to(inside) or not path.is_file():
            return None
        return path.read_text(encoding="utf-8"), str(path), None

    environment = SandboxedEnvironment(
        loader=FunctionLoader(load),
        undefined=StrictUndefined,
        autoescape=select_autoescape((), default_for_string=False),  # it is no HTML
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["slug"] = slug
    return environment


class _Blame:
    """Tells whoever wrote a template where it is wrong.

    Args:
        folder: The template.
        path: The file that is filled in.
    """

    def __init__(self, folder: Path, path: Path) -> None:
        self._folder = folder
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            raise Failure(f"{self._place(error)}: {self._words(error)}") from error

    def _place(self, error: Exception) -> str:
        """Returns file and line; jinja has the lines of templates in tracebacks."""
        if isinstance(error, TemplateSyntaxError):
            return f"{error.filename or self._folder / self._path}:{error.lineno}"
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if Path(frame.filename).is_relative_to(self._folder):
                return f"{frame.filename}:{frame.lineno}"
        return str(self._folder / self._path)

    def _words(self, error: Exception) -> str:
        if isinstance(error, UnicodeDecodeError):
            return f"is not UTF-8 at byte {error.start}; without {_SUFFIX} it would be copied as it is"
        if isinstance(error, TemplateNotFound):
            return f"there is no {error} in the template"
        return str(error) or type(error).__name__
