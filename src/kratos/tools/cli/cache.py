"""``kratos cache``."""

from __future__ import annotations

from pathlib import Path

import click

from kratos.tools.caching.reading import read
from kratos.tools.caching.writing import HEAD, target, written
from kratos.tools.cli.places import seen_from_here
from kratos.tools.cli.terminal import paint, show
from kratos.tools.codegen.folder import replace_file
from kratos.tools.codegen.project import Project
from kratos.tools.failure import FAILED, Failure

__all__ = ["command"]

_WIDTH = 88


@click.command
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; fail if something would change.")
def command(files: tuple[Path, ...], check: bool) -> None:
    """Write classes that cache what a Protocol's methods return.

    Each of FILES has Protocols with methods marked @cacheable. For users.py this writes users_cache.py beside it, and
    touches nothing else.
    """
    changed = False
    results = [(path, target(path), _text(path)) for path in files]
    for path, place, text in results:
        present = place.read_text(encoding="utf-8") if place.is_file() else None
        if present is not None and not present.startswith(HEAD):
            raise Failure(
                f"{seen_from_here(place)} is in the way: it was not generated. Move it, or rename {path.name}"
            )
        said = paint(seen_from_here(place), "name")
        if present == text:
            show(f"{said} is up to date")
            continue
        changed = True
        if check:
            show(f"{said} would change")
            continue
        try:
            replace_file(place, text.encode())
        except OSError as failure:
            raise Failure(f"cannot write {seen_from_here(place)}: {failure.strerror}") from failure
        show(f"wrote {said}")
    if check and changed:
        raise click.exceptions.Exit(FAILED)


def _text(path: Path) -> str:
    project = Project.find(path.resolve().parent)
    return written(read(path), _WIDTH if project is None else project.line_length)
