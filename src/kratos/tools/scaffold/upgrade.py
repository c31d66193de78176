"""Takes over what has changed in a template, without losing what somebody has changed in the project.

Each file has three versions: as the template had it, as the template has it, and as it is in the project. Where only
one side has changed there is nothing to decide; where both have, git merges; and where that fails nothing is decided
for anybody: the file stays, and the template's version is put beside it.
"""

from __future__ import annotations

import difflib
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from kratos.tools.codegen.folder import replace_file
from kratos.tools.failure import Failure
from kratos.tools.scaffold.names import Names
from kratos.tools.scaffold.project import variables
from kratos.tools.scaffold.record import RECORD, Record, contents
from kratos.tools.scaffold.template import Template
from kratos.version import __version__

__all__ = ["BESIDE", "Step", "Upgrade", "prepare"]

BESIDE: Final = ".new"
"""What the template's version of a file is called where it cannot be merged."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done about a file.

    Attributes:
        path: The file, relative to the project.
        kind: ``conflict`` leaves it as it is and puts the template's version beside it; ``kept`` leaves one that the
            template no longer has and somebody has changed.
        before: As it is; None if there is none.
        after: As it is to be, for a conflict the template's version; None if it is to go.
        executable: Whether it is a program.
    """

    path: str
    kind: Literal["add", "change", "merge", "remove", "conflict", "kept"]
    before: bytes | None
    after: bytes | None
    executable: bool = False

    def diff(self) -> str:
        """Returns what changes, as a unified diff; one line for what is no text."""
        path = f"{self.path}{BESIDE}" if self.kind == "conflict" else self.path
        try:
            old, new = ((side or b"").decode().splitlines(keepends=True) for side in (self.before, self.after))
        except UnicodeDecodeError:
            return f"Binary files differ: {path}\n"
        names = (f"a/{self.path}" if self.before is not None else "/dev/null",
                 f"b/{path}" if self.after is not None else "/dev/null")  # fmt: skip
        lines = difflib.unified_diff(old, new, *names)
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade would do.

    Attributes:
        root: The project.
        record: What the project remembers now.
        fresh: What it will remember.
        steps: What is to be done.
    """

    root: Path
    record: Record
    fresh: Record
    steps: tuple[Step, ...]

    def __bool__(self) -> bool:
        return bool(self.steps) or (self.record.known and self.record != self.fresh)

    def apply(self) -> None:
        """Does it. What stands in the way of a file beside a conflict is not overwritten either.

        Raises:
            Failure: A file cannot be written, or has changed meanwhile; nothing more is done then.
        """
        for step in self.steps:
            if _present(self.root / step.path) != step.before:
                raise Failure(f"{step.path} has changed meanwhile", hint="kratos upgrade")
        try:
            for step in self.steps:
                self._do(step)
            self.fresh.write(self.root)
        except OSError as error:
            raise Failure(f"cannot write {error.filename}: {error.strerror}") from error

    def _do(self, step: Step) -> None:
        path = self.root / step.path
        if step.kind == "kept":
            return
        if step.after is None:
            path.unlink()
            return
        if step.kind == "conflict":
            path = path.with_name(path.name + BESIDE)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, step.after)
        if step.executable:
            path.chmod(path.stat().st_mode | (path.stat().st_mode & 0o444) >> 2)


def prepare(root: Path, record: Record, template: Template) -> Upgrade:
    """Finds out what has changed in a template since a project was made from it, or upgraded.

    Args:
        root: The project.
        record: What it remembers.
        template: The template as it is now.

    Raises:
        Failure: The template cannot be filled in, or git is needed and missing.
    """
    named = Names(root, record.name, record.package)
    with tempfile.TemporaryDirectory(prefix="kratos-") as name:
        folder = Path(name)
        files = template.render(template.files(), variables(named, record.layout), folder)
        fresh = contents(folder, files)
        programs = frozenset(each for each in files if (folder / each).stat().st_mode & 0o100)
    new = Record(record.layout, __version__, record.name, record.package, fresh)
    steps = tuple(
        replace(step, executable=step.path in programs)
        for path in sorted({*record.files, *fresh} - {RECORD})
        if (step := _step(root, path, record, fresh)) is not None
    )
    return Upgrade(root, record, new, steps)


def _step(root: Path, path: str, record: Record, fresh: Mapping[str, bytes]) -> Step | None:
    before, wanted, mine = record.files.get(path), fresh.get(path), _present(root / path)
    if wanted in (before, mine):
        return None
    if mine is None:  # what somebody has deleted stays so
        return Step(path, "add", None, wanted) if before is None and record.known else None
    if wanted is None:
        return Step(path, "remove", mine, None) if mine == before else Step(path, "kept", mine, mine)
    if mine == before:
        return Step(path, "change", mine, wanted)
    merged = None if before is None else _merged(mine, before, wanted)
    if merged is None:
        return Step(path, "conflict", mine, wanted)
    return Step(path, "merge", mine, merged) if merged != mine else None


def _present(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from error


def _merged(mine: bytes, before: bytes, wanted: bytes) -> bytes | None:
    """Returns what both sides have made of a file; None if they have changed the same lines."""
    with tempfile.TemporaryDirectory(prefix="kratos-") as name:
        paths = [str(path) for path in _written(Path(name), mine, before, wanted)]
        command = ["git", "merge-file", "--stdout", "--quiet", *paths]
        try:
            done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - no shell, and files of our own
        except FileNotFoundError:
            raise Failure("git is not installed, and has to merge what you and the template have changed") from None
    return done.stdout if done.returncode == 0 else None


def _written(folder: Path, *sides: bytes) -> Iterator[Path]:
    for number, content in enumerate(sides):
        path = folder / str(number)
        path.write_bytes(content)
        yield path
