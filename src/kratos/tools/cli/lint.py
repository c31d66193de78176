"""``kratos lint``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click

from kratos.tools.cli.generate import located
from kratos.tools.cli.places import counted, place, seen_from_here
from kratos.tools.cli.progress import progress
from kratos.tools.cli.terminal import note, paint, show, show_json, wrapped
from kratos.tools.codegen.buf import BufError
from kratos.tools.codegen.project import Project
from kratos.tools.failure import FAILED
from kratos.tools.lint.base import Finding
from kratos.tools.lint.families import check

__all__ = ["command"]

_COMPILE = "COMPILE"


@click.command
@click.argument("project", required=False, type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text",
              help="How to print findings; github: as annotations of a workflow.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def command(project: Path | None, form: str, as_json: bool) -> None:
    """Find what is unwise in the project's protos.

    PROJECT is a folder; the project around the current one if not given. The rules are buf's STANDARD, less what
    Kratos' conventions forbid. A comment "buf:lint:ignore RULE" above a declaration makes an exception.
    """
    target = located(project)
    found = [replace(each, path=seen_from_here(target.root / each.path)) for each in _judged(target)]
    if as_json or form == "json":
        show_json([asdict(each) for each in found])
    elif form == "github":
        for each in found:
            show(_annotation(each))
    else:
        _show(found)
    if found:
        raise click.exceptions.Exit(FAILED)


def _judged(project: Project) -> list[Finding]:
    """Returns what is wrong; protos that do not compile break one rule more."""
    try:
        with progress("checking"):
            return check(project)
    except BufError as failure:
        if not all(each.path for each in failure.findings):
            raise
        return [Finding(each.path, each.line, each.column, _COMPILE, each.message) for each in failure.findings]


def _show(found: Sequence[Finding]) -> None:
    for each in found:
        line = f"{place(each.path, each.line, each.column)}: {each.message} {paint(f'({each.rule})', 'faint')}"
        show(wrapped(line, sys.stdout))
    note(counted(len(found), "finding") if found else "no findings")


def _annotation(finding: Finding) -> str:
    properties = {"file": finding.path, "line": finding.line, "col": finding.column, "title": finding.rule}
    said = ",".join(f"{key}={_escaped(str(value), ',:')}" for key, value in properties.items())
    return f"::error {said}::{_escaped(finding.message)}"


def _escaped(text: str, more: str = "") -> str:
    for sign in f"%\r\n{more}":
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text
