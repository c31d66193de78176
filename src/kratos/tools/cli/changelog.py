"""``kratos changelog``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from kratos.tools.cli.terminal import show, show_json
from kratos.tools.release.changelog import changelog, markdown

__all__ = ["command"]


@click.command
@click.argument("revision", default="HEAD")
@click.option("--since", default="", metavar="REVISION", help="The version before; the last tag if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print an object with a list of changes.")
def command(revision: str, since: str, as_json: bool) -> None:
    """Print what has changed, by the repository's commits.

    REVISION is the version that has the changes: a tag, or what is checked out if not given. Conventional commits
    ("feat(orders): ...", "fix!: ...") are grouped; the others are listed too.
    """
    log = changelog(Path.cwd(), until=revision, since=since)
    if as_json:
        show_json(asdict(log))
    else:
        show(markdown(log))
