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
from kratos.tools.codegen.project import Project
from kratos.tools.failure import FAILED, USAGE, Failure
from kratos.tools.lint.base import Finding
from kratos.tools.lint.families import RULES, check
from kratos.tools.lint.others import judge
from kratos.tools.lint.python.drift import DRIFT
from kratos.tools.lint.repair import repair
from kratos.tools.lint.sarif import document
from kratos.tools.lint.settings import Settings

__all__ = ["command"]

_FORMATS = ("text", "json", "sarif", "github")


def _ids(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:  # noqa: ARG001 - click's signature
    return tuple(part.strip() for part in (value or "").split(",") if part.strip())


def _list(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:  # noqa: ARG001 - click's signature
    if wanted:
        for rule in RULES.values():
            mark = " (--fix)" if rule.fixable else ""
            show(f"{paint(rule.id, 'name')} {rule.severity:7} {rule.name}: {rule.summary}{mark}")
        ctx.exit()


def _explain(ctx: click.Context, param: click.Parameter, id: str | None) -> None:  # noqa: ARG001 - click's signature
    if id is None:
        return
    rule = RULES.get(id.upper()) or next((each for each in RULES.values() if each.name == id.lower()), None)
    if rule is None:
        raise Failure(
            f"there is no rule {id!r} of ours; names in capitals with _ are buf's: https://buf.build/docs/lint/rules",
            hint="kratos lint --rules",
            code=USAGE,
        )
    show(f"{paint(rule.id, 'name')} {rule.name}, {rule.severity}{', can be fixed by --fix' if rule.fixable else ''}")
    for title, text in (("What", rule.summary), ("Why", rule.why), ("Do", rule.fix)):
        show(wrapped(f"{paint(f'{title}:', 'strong')} {text}", sys.stdout))
    ctx.exit()


@click.command
@click.argument("project", required=False, type=click.Path(path_type=Path))
@click.option("--fix", is_flag=True, help="Put right what can be put right safely.")
@click.option("--against", default="", metavar="FOLDER|REVISION",
              help="Find what breaks another version of the contract, in a folder or in git.")  # fmt: skip
@click.option("--all", "every", is_flag=True,
              help="Run ruff, mypy and pyright too, as the project has them set up.")  # fmt: skip
@click.option("--select", callback=_ids, metavar="IDS", help="Only these rules: ids or their beginnings, with commas.")
@click.option("--ignore", callback=_ids, metavar="IDS", help="Not these rules.")
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="text",
              help="How to print findings; github: as annotations of a workflow.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--rules", is_flag=True, is_eager=True, expose_value=False, callback=_list, help="List the rules.")
@click.option("--explain", is_eager=True, expose_value=False, callback=_explain, metavar="ID",
              help="Say what a rule finds, why, and what to do.")  # fmt: skip
def command(
    *,
    project: Path | None,
    fix: bool,
    against: str,
    every: bool,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    strict: bool,
    form: str,
    as_json: bool,
) -> None:
    """Find what is unwise in the project: protos, code, configuration.

    PROJECT is a folder; the project around the current one if not given. "# kratos: ignore[ID] reason" excuses a line,
    "// kratos:ignore ID reason" a declaration of a proto. With --all one command has the whole verdict.

    Exit codes: 0 no errors, 1 errors, 2 wrong usage.
    """
    target = located(project)
    settings = Settings.load(target.root)
    settings = replace(settings, select=select or settings.select, ignore=(*settings.ignore, *ignore))
    found = _judged(target, settings, against)
    if fix:
        done = repair(target, found)
        note(f"{counted(len(done), 'finding')} put right" if done else "nothing that can be put right")
        found = _judged(target, settings, against) if done else found
    found = [*found, *_others(target, settings)] if every else found
    seen = [replace(each, path=seen_from_here(target.root / each.path)) for each in found]
    _show(seen, "json" if as_json else form)
    if any(strict or each.severity == "error" for each in found):
        raise click.exceptions.Exit(FAILED)


def _judged(project: Project, settings: Settings, against: str) -> list[Finding]:
    with progress("checking"):
        return check(project, settings, against=against)


def _others(project: Project, settings: Settings) -> list[Finding]:
    with progress("checking style and types"):
        verdict = judge(project)
    for name in verdict.missing:
        note(f"{name} is set up in the project, and was not run: it is not installed (pip install {name})")
    return sorted(each for each in verdict.findings if settings.counts(each.rule, each.path))


def _show(found: Sequence[Finding], form: str) -> None:
    if form == "json":
        show_json([_plain(each) for each in found])
    elif form == "sarif":
        show_json(document(found, RULES))
    elif form == "github":
        for each in found:
            show(_annotation(each))
    else:
        _show_text(found)


def _plain(finding: Finding) -> dict[str, object]:
    fields = asdict(finding)
    edits = fields.pop("edits")
    return {**fields, "fixable": bool(edits) or finding.rule == DRIFT.id}


def _show_text(found: Sequence[Finding]) -> None:
    for each in found:
        mark = "" if each.severity == "error" else f"{paint('warning:', 'warn')} "
        line = f"{place(each.path, each.line, each.column)}: {mark}{each.message} {paint(f'({each.rule})', 'faint')}"
        show(wrapped(line, sys.stdout))
    note(counted(len(found), "finding") if found else "no findings")
    if ours := next((each.rule for each in found if each.rule in RULES), ""):
        note(paint(f"kratos lint --explain {ours} says more", "faint", sys.stderr))


def _annotation(finding: Finding) -> str:
    properties = {"file": finding.path, "line": finding.line, "col": finding.column, "title": finding.rule}
    said = ",".join(f"{key}={_escaped(str(value), ',:')}" for key, value in properties.items())
    return f"::{finding.severity} {said}::{_escaped(finding.message)}"


def _escaped(text: str, more: str = "") -> str:
    for sign in f"%\r\n{more}":
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text
