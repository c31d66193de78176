"""``kratos doctor``."""

from __future__ import annotations

import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kratos.tools.cli.terminal import paint, show, show_json, wrapped
from kratos.tools.failure import FAILED

if TYPE_CHECKING:
    from kratos.tools.doctor.checkup import Finding

__all__ = ["command"]

_STYLES: Final = {"ok": "good", "warn": "warn", "bad": "bad"}


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print a list with one object for each finding.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Say what is wrong with the installation and the project.

    Nothing is changed. The exit code is 1 if anything is bad.
    """
    from kratos.tools.doctor.checks import examine  # noqa: PLC0415 - loads the generator

    findings: list[Finding] = []
    for finding in examine(Path.cwd()):
        findings.append(finding)
        if as_json:
            continue
        _tell(finding)
    if as_json:
        show_json([asdict(finding) for finding in findings])
    if any(finding.state == "bad" for finding in findings):
        ctx.exit(FAILED)


def _tell(finding: Finding) -> None:
    detail = f"({finding.detail})" if finding.detail else ""
    head = f"{finding.state:4}  {finding.what}"
    if finding.state == "ok" and sys.stdout.isatty():  # all is well: one line is enough
        room = shutil.get_terminal_size().columns - len(head) - 2
        detail = detail if len(detail) <= room else f"{detail[: max(0, room - 2)]}…)"
    line = f"{paint(head[:4], _STYLES[finding.state])}{head[4:]}  {paint(detail, 'faint')}".rstrip()
    show(wrapped(line, sys.stdout, indent=" " * 6))
    if finding.advice:
        show(wrapped(f"      {paint('try:', 'faint')} {finding.advice}", sys.stdout, indent=" " * 11))
