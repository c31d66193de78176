"""``kratos generate``."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from kratos.tools.cli.places import counted, seen_from_here
from kratos.tools.cli.progress import progress
from kratos.tools.cli.target import current
from kratos.tools.cli.terminal import note, paint, show, show_json, wrapped
from kratos.tools.codegen.buf import BufError
from kratos.tools.codegen.project import Generated, Project, generate
from kratos.tools.failure import FAILED, USAGE, Failure

__all__ = ["command", "generated", "located", "tell", "told"]

_LISTED = 10


@click.command
@click.argument("project", required=False, type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; fail if something would change.")
@click.option("--force", is_flag=True, help="Compile even if nothing seems to have changed.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(project: Path | None, check: bool, force: bool, as_json: bool) -> None:
    """Generate Python from the project's protos.

    PROJECT is a folder; the project around the current one if not given. What is up to date is left alone.
    """
    tell(located(project), check=check, force=force, as_json=as_json)


def located(folder: Path | None) -> Project:
    """Returns the project that a folder belongs to; without a folder, the current one's.

    Raises:
        Failure: There is none.
    """
    if folder is None:
        return current()
    if not folder.is_dir():
        raise Failure(f"there is no folder {folder}", code=USAGE)
    return Project.find(folder) or Project.load(folder)


def tell(project: Project, *, check: bool = False, force: bool = False, as_json: bool = False) -> None:
    """Generates, and says what has changed or would.

    Raises:
        Failure: The protos are wrong; their findings are printed before.
        Exit: Something would change, and it was to be checked.
    """
    start = time.monotonic()
    try:
        done = generated(project, write=not check, force=force, quiet=as_json)
    except BufError as failure:
        if as_json:
            found = [{**_place(each.path, project), "line": each.line, "column": each.column, "message": each.message}
                     for each in failure.findings]  # fmt: skip
            show_json({"written": [], "removed": [], "unchanged": 0, "findings": found})
        raise
    if as_json:
        paths = {"written": [*_named(done.written, project)], "removed": [*_named(done.removed, project)]}
        show_json({**paths, "unchanged": done.unchanged, "findings": []})
    else:
        _show(done, project, check=check, seconds=time.monotonic() - start)
    if check and done:
        raise click.exceptions.Exit(FAILED)


def generated(project: Project, *, write: bool = True, force: bool = False, quiet: bool = False) -> Generated:
    """Generates with a sign of life; prints what is wrong with the protos, each place on a line.

    Args:
        project: What to generate.
        write: False only looks what would change.
        force: Compiles whether it seems necessary or not.
        quiet: Leaves it to the caller to print what is wrong.

    Raises:
        BufError: The protos are wrong; its message only counts, for the places are printed.
        Failure: As ``generate`` does.
    """
    with told(project, quiet=quiet), progress("checking" if not write else "generating"):
        return generate(project, write=write, force=force)


@contextmanager
def told(project: Project, *, quiet: bool = False) -> Generator[None]:
    """Prints what is wrong with the protos of a project, each place on a line.

    Args:
        project: Whose.
        quiet: Leaves it to the caller.

    Raises:
        BufError: The protos are wrong; its message only counts.
    """
    try:
        yield
    except BufError as failure:
        for found in () if quiet else failure.findings:
            said = ":".join(
                str(part) for part in (_place(found.path, project)["path"], found.line, found.column) if part
            )
            note(wrapped(f"{paint(said, 'name', sys.stderr)}: {found.message}" if said else found.message))
        if failure.note and not quiet:
            note(wrapped(failure.note))
        raise _Counted(failure) from failure


class _Counted(BufError):
    """Findings that were printed."""

    def __init__(self, failure: BufError) -> None:
        super().__init__(failure.findings, note=failure.note)
        self.args = (f"{counted(len(failure.findings), 'problem')} in the protos; nothing was written",)


def _place(path: str, project: Project) -> dict[str, str]:
    return {"path": seen_from_here(project.root / path) if path else ""}


def _named(paths: tuple[Path, ...], project: Project) -> Iterator[str]:
    return (path.relative_to(project.root).as_posix() for path in paths)


def _show(done: Generated, project: Project, *, check: bool, seconds: float) -> None:
    lines = [f"{paint('+', 'good')} {name}" for name in _named(done.written, project)]
    lines += [f"{paint('-', 'bad')} {name}" for name in _named(done.removed, project)]
    for line in lines[:_LISTED]:
        show(f"  {line}")
    if len(lines) > _LISTED:
        show(f"  … and {len(lines) - _LISTED} more")
    written, removed = counted(len(done.written), "file"), len(done.removed)
    if check:
        show(f"would generate {written}, remove {removed}; {done.unchanged} unchanged")
    else:
        show(f"generated {written}, removed {removed}, {done.unchanged} unchanged in {seconds:.2f} s")
