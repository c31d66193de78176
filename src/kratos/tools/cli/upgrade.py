"""``kratos upgrade``."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import click

from kratos.tools.cli.generate import generated, located, told
from kratos.tools.cli.places import counted, seen_from_here
from kratos.tools.cli.progress import progress
from kratos.tools.cli.terminal import note, paint, show, suggest
from kratos.tools.codegen.project import Project, generate
from kratos.tools.failure import FAILED, USAGE, Failure
from kratos.tools.scaffold.clone import fetched, is_remote
from kratos.tools.scaffold.preview import generated_diffs
from kratos.tools.scaffold.record import Record
from kratos.tools.scaffold.template import LAYOUTS, Template
from kratos.tools.scaffold.upgrade import BESIDE, Upgrade, prepare
from kratos.version import __version__

__all__ = ["command"]

_SAID = {
    "add": ("+", "good", "is new"),
    "change": ("~", "good", "as the template has it now"),
    "merge": ("~", "good", "your changes and the template's"),
    "remove": ("-", "bad", "the template has it no more"),
    "conflict": ("!", "bad", "stays as it is; the template's version is put beside it,"),
    "kept": ("=", "warn", "the template has it no more, but you have changed it: it stays"),
}


@click.command
@click.argument("project", required=False, type=click.Path(path_type=Path))
@click.option("--apply", is_flag=True, help="Do it; without, the changes are shown and nothing is written.")
@click.option("-r", "--template", "reference", metavar="PATH|GIT", help="Where a template of your own is.")
@click.option("-b", "--branch", default="", help="The template's branch or tag.")
def command(project: Path | None, apply: bool, reference: str | None, branch: str) -> None:
    """Take over what has changed in the project's template.

    PROJECT is a folder; the project around the current one if not given. It prints a diff, that of generated code
    included. What you have changed stays: where you and the template have changed the same lines, the file is left
    alone, and the template's version put beside it.

    This is about a project. Kratos itself is upgraded by what has installed it: pip install --upgrade kratos-py
    """
    target = located(project)
    record = Record.read(target.root)
    with _template(record, reference, branch) as template:
        upgrade = prepare(target.root, record, template)
    for step in upgrade.steps:
        if not apply and step.kind != "kept":
            show(step.diff().rstrip("\n"))
    for step in upgrade.steps:
        sign, style, what = _SAID[step.kind]
        beside = f" {seen_from_here(target.root / step.beside)}" if step.beside else ""
        note(f"{paint(sign, style)} {seen_from_here(target.root / step.path)} {paint(f'{what}{beside}', 'faint')}")
    if not record.known:
        note("this project does not remember how its template looked: it will after this")
    _finish(upgrade, target, apply=apply)


@contextmanager
def _template(record: Record, reference: str | None, branch: str) -> Generator[Template]:
    """Lends the template of a project as it is now."""
    if reference is None and record.layout in LAYOUTS:
        if branch:
            raise click.UsageError("--branch needs a --template to be of")
        yield Template.built_in(record.layout)
        return
    if reference is None and is_remote(record.layout):
        head, slash, last = record.layout.rpartition("/")
        name, _, said = last.partition("@")  # as new has written it: the address, then the branch
        reference, branch = f"{head}{slash}{name}", branch or said
    if reference is None:
        raise Failure(
            f"the project was made from {record.layout or 'a template'}, which is none of ours: say where it is",
            hint="kratos upgrade --template PATH",
            code=USAGE,
        )
    with fetched(reference, branch=branch) as template:
        yield template


def _finish(upgrade: Upgrade, project: Project, *, apply: bool) -> None:
    conflicts = sum(step.kind == "conflict" for step in upgrade.steps)
    done = [step for step in upgrade.steps if step.kind not in ("conflict", "kept")]
    if not apply:
        with told(project), progress("generating"):
            drifted = generated_diffs(upgrade, project, generate)
        for diff in drifted:
            show(diff.rstrip("\n"))
        if drifted:
            note(f"{counted(len(drifted), 'generated file')} would change besides")
        if upgrade or drifted or not upgrade.record.known:
            suggest("kratos upgrade --apply")
        else:
            note(f"the project is what kratos {__version__} would make of its template")
        return
    upgrade.apply()
    result = generated(Project.load(project.root))
    changed = len(result.written) + len(result.removed)
    note(f"{counted(len(done), 'file')} changed, {counted(changed, 'generated file')}")
    if conflicts:
        note(f"{counted(conflicts, 'file')} to be merged by hand: compare FILE with FILE{BESIDE}")
        raise click.exceptions.Exit(FAILED)
