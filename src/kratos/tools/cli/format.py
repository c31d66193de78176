"""``kratos format``."""

from __future__ import annotations

from pathlib import Path

import click

from kratos.tools.cli.generate import located
from kratos.tools.cli.places import counted, seen_from_here
from kratos.tools.cli.progress import progress
from kratos.tools.cli.terminal import note, show
from kratos.tools.failure import FAILED
from kratos.tools.lint.formatting import format_project, has_ruff

__all__ = ["command"]


@click.command
@click.argument("project", required=False, type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; fail if something would change.")
def command(project: Path | None, check: bool) -> None:
    """Format the project's protos and Python.

    PROJECT is a folder; the project around the current one if not given. Protos are formatted by buf, Python by ruff
    where that is installed, as the project's settings have it. Generated code is not formatted, but generated anew
    where it was what the protos said.
    """
    target = located(project)
    with progress("formatting"):
        changed = format_project(target, write=not check)
    for name in changed:
        show(seen_from_here(target.root / name))
    if not has_ruff():
        note("Python is left as it is: ruff is not installed (pip install ruff)")
    note(f"{counted(len(changed), 'file')} {'would be ' if check else ''}formatted")
    if check and changed:
        raise click.exceptions.Exit(FAILED)
