"""Where buf works: a folder with the protos of a project and, beside them, those that the wheels bring."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kratos.tools.codegen.protos import stage

__all__ = ["STATE", "THIRD_PARTY", "Workspace", "aside"]

STATE = ".kratos"
"""The folder in a project for what can be made anew."""

THIRD_PARTY = f"{STATE}/third_party"
"""Where the protos of others are; editors may look for imports there."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder for buf.

    Attributes:
        root: The folder.
        protos: The project's own import roots, relative to it.
    """

    root: Path
    protos: tuple[str, ...]

    @property
    def modules(self) -> list[str]:
        """All import roots, relative to the folder."""
        return [*self.protos, THIRD_PARTY]

    def stage(self) -> None:
        """Puts the protos of others in their place.

        Raises:
            Failure: The wheel with google's protos is not installed.
        """
        stage(self.root / THIRD_PARTY, besides=[self.root / folder for folder in self.protos])

    def tops(self) -> list[str]:
        """Returns what lies directly in the proto folders; buf takes all but such a folder itself as a path."""
        found = {f"{folder}/{path.split('/')[0]}" for folder in self.protos for path in self.files(folder)}
        return sorted(found)

    def files(self, folder: str) -> Iterable[str]:
        """Yields the protos in a folder of the project, by import path."""
        root = self.root / folder
        seen: set[str] = set()
        for at, folders, names in os.walk(root, followlinks=True):  # as buf does
            real = os.path.realpath(at)
            if real in seen:  # a link that leads back
                folders.clear()
                continue
            seen.add(real)
            for name in sorted(names):
                if name.endswith(".proto"):
                    yield os.path.relpath(os.path.join(at, name), root).replace(os.sep, "/")

    def located(self, path: str) -> str:
        """Returns a path as seen from the folder; plugins know only import paths."""
        for folder in self.protos:
            if path and (self.root / folder / path).is_file():
                return f"{folder}/{path}"
        return path


@contextmanager
def aside(workspace: Workspace) -> Generator[Workspace]:
    """Lends a copy in a temporary folder, for work that must leave no trace in the project."""
    with tempfile.TemporaryDirectory(prefix="kratos-") as folder:
        copy = Workspace(Path(folder), workspace.protos)
        for root in workspace.protos:
            for path in workspace.files(root):
                target = copy.root / root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(workspace.root / root / path, target)
        copy.stage()
        yield copy
