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
from itertools import count
from pathlib import Path
from typing import Final, Literal

from kratos.tools.codegen.folder import replace_file
from kratos.tools.failure import Failure
from kratos.tools.scaffold.names import Names
from kratos.tools.scaffold.project import variables
from kratos.tools.scaffold.record import RECORD, Record, contents
from kratos.tools.scaffold.template import Template
from kratos.version import __version__

__all__ = ["BESIDE", "Step", "Upgrade", "prepare", "unified"]

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
        beside: For a conflict, where the template's version is put: a place that nothing else has taken.
    """

    path: str
    kind: Literal["add", "change", "merge", "remove", "conflict", "kept"]
    before: bytes | None
    after: bytes | None
    executable: bool = False
    beside: str = ""

    def diff(self) -> str:
        """Returns what changes, as a unified diff; one line for what is no text."""
        return unified(self.path, self.before, self.after, target=self.beside)


def unified(path: str, before: bytes | None, after: bytes | None, *, target: str = "") -> str:
    """Returns how a file changes, as a unified diff that git can apply; one line for what is no text.

    Args:
        path: The file.
        before: What it says; None if it is not there.
        after: What it is to say; None if it is to go.
        target: The file that is written, if that is another one.
    """
    target = target or path
    try:
        old, new = ((side or b"").decode().splitlines(keepends=True) for side in (before, after))
    except UnicodeDecodeError:
        return f"Binary files differ: {target}\n"
    names = (f"a/{path}" if before is not None else "/dev/null", f"b/{target}" if after is not None else "/dev/null")
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
            taken = step.beside and _present(self.root / step.beside) not in (None, step.after)
            if taken or _present(self.root / step.path) != step.before:
                raise Failure(f"{step.beside if taken else step.path} has changed meanwhile", hint="kratos upgrade")
        try:
            for step in self.steps:
                _do(self.root, step)
            self.fresh.write(self.root)
        except OSError as error:
            raise Failure(f"cannot write {error.filename}: {error.strerror}") from error

    def copy_to(self, root: Path) -> None:
        """Does it to a copy of the project, or to a part of one: what is not there is made."""
        for step in self.steps:
            _do(root, step)


def _do(root: Path, step: Step) -> None:
    path = root / step.path
    if step.kind == "kept":
        return
    if step.after is None:
        path.unlink(missing_ok=True)
        return
    if step.beside:
        path = root / step.beside
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
        replace(step, executable=step.path in programs, beside=_beside(root, step, fresh))
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


def _beside(root: Path, step: Step, fresh: Mapping[str, bytes]) -> str:
    """Returns where the template's version of a file is put: not where the template, or somebody, has another one."""
    if step.kind != "conflict":
        return ""
    names = (f"{step.path}{BESIDE}{number or ''}" for number in count())
    return next(name for name in names if name not in fresh and _present(root / name) in (None, step.after))


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
