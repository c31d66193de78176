"""``kratos proto``: the words that users of Kratos for Go know for working on a contract."""

from __future__ import annotations

import os
from pathlib import Path

import click

from kratos.tools.cli.generate import generated, located, tell
from kratos.tools.cli.places import counted, seen_from_here
from kratos.tools.cli.target import current
from kratos.tools.cli.terminal import note, paint, show, suggest, wrapped
from kratos.tools.codegen.project import Project
from kratos.tools.failure import USAGE, Failure
from kratos.tools.stubs.contract import draft, place
from kratos.tools.stubs.services import Outcome, default_folder, implement

__all__ = ["command"]


@click.group
def command() -> None:
    """Draft protos and the code that implements them."""


@command.command
@click.argument("path", type=click.Path(path_type=Path))
def add(path: Path) -> None:
    """Write a new proto with five RPCs.

    PATH is relative to the current folder or to a proto root. Its folders become the package: shop/v1/order.proto is in
    shop.v1.
    """
    target = place(current(), path, Path.cwd())
    said = seen_from_here(target.path)
    try:
        target.path.parent.mkdir(parents=True, exist_ok=True)
        with target.path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(draft(target.package, target.stem))
    except FileExistsError:
        raise Failure(f"{said} already exists") from None
    except OSError as failure:
        raise Failure(f"cannot write {said}: {failure.strerror}") from failure
    if target.moved:
        note(f"{path} is in no proto root: it goes below the first one")
    show(f"created {said}, package {target.package}")
    suggest(f"kratos proto server {said}")


@command.command
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; fail if something would change.")
@click.option("--force", is_flag=True, help="Compile even if nothing seems to have changed.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def client(path: Path | None, check: bool, force: bool, as_json: bool) -> None:
    """Generate Python from protos: the same as kratos generate.

    PATH is a file or folder of the project. The whole project is generated, for only what has changed costs time.
    """
    if path is not None and not path.exists():
        raise Failure(f"there is no {path}", hint="kratos generate", code=USAGE)
    folder = path.parent if path is not None and not path.is_dir() else path
    tell(located(folder), check=check, force=force, as_json=as_json)


@command.command
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-t", "--target", type=click.Path(path_type=Path),
              help="The folder of the services; PACKAGE/internal/service if it exists, else PACKAGE.")  # fmt: skip
def server(file: Path, target: Path | None) -> None:
    """Write what implements the services of a proto.

    A class that inherits from a generated base gets the methods that it lacks; nothing else of its file changes. A
    service that no class implements gets a file.
    """
    project = current()
    proto = _import_path(project, file)
    generated(project)
    try:
        outcomes = implement(project, proto, default_folder(project) if target is None else target)
    except OSError as failure:
        raise Failure(f"cannot write {failure.filename}: {failure.strerror}") from failure
    for outcome in outcomes:
        show(_told(outcome))
    if new := [f"{outcome.name}()" for outcome in outcomes if outcome.created]:
        note(wrapped(f"served once the app has it: services=[..., {', '.join(new)}] in App(...)"))


def _import_path(project: Project, file: Path) -> str:
    """Returns by what a proto is imported: it was typed as seen from the current folder, or from a proto root."""
    roots = [Path(os.path.abspath(project.root / folder)) for folder in project.protos]
    for start in (Path.cwd(), *roots):
        path = Path(os.path.abspath(start / file))
        for root in roots:
            if path.is_relative_to(root) and path.is_file():
                return path.relative_to(root).as_posix()
    raise Failure(
        f"{file} is no proto of {project.root / 'pyproject.toml'}, whose roots are {', '.join(project.protos)}",
        hint=f"kratos proto add {file}",
        code=USAGE,
    )


def _told(outcome: Outcome) -> str:
    where = f"{paint(seen_from_here(outcome.path), 'name')}: {outcome.name}"
    methods = counted(outcome.methods, "method")
    if outcome.created:
        return f"{where} is new, with {methods}"
    if not outcome.added:
        return f"{where} already has {'its method' if outcome.methods == 1 else f'all {methods}'}"
    return f"{where} gets {', '.join(outcome.added)}"
