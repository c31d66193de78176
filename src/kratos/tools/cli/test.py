"""``kratos test``."""

from __future__ import annotations

from pathlib import Path

import click

from kratos.tools.cli.generate import generated
from kratos.tools.cli.places import counted, seen_from_here
from kratos.tools.cli.target import current
from kratos.tools.cli.terminal import show, suggest
from kratos.tools.stubs.drafts import draft_tests

__all__ = ["command"]


@click.group
def command() -> None:
    """Draft tests of the project's services."""


@command.command
@click.argument("service", default="")
@click.option("-t", "--target", type=click.Path(path_type=Path), help="The folder of the tests; tests if not given.")
def gen(service: str, target: Path | None) -> None:
    """Write a test for each RPC of a service, through its generated client.

    SERVICE is a service or a proto; all of the project's if not given. A file that is there is left alone.
    """
    project = current()
    generated(project)
    drafted = draft_tests(project, service, target or project.root / "tests")
    for each in drafted:
        path = seen_from_here(each.path)
        show(f"{path}: {counted(each.tests, 'test')}" if each.created else f"{path} is there already: left alone")
    if any(each.created for each in drafted):
        suggest("pytest")
