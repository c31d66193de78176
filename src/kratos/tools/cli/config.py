"""``kratos config``."""

from __future__ import annotations

import click

from kratos.tools.cli.terminal import show as print_line
from kratos.tools.cli.terminal import show_json

__all__ = ["command"]


@click.group
def command() -> None:
    """Show how the project's app is configured."""


@command.command
@click.argument("key", default="")
@click.option(
    "--app", "target", metavar="APP", help="An app of the project, or module:attribute; where there are several."
)
@click.option("--json", "as_json", is_flag=True, help="Print a list with one object for each value.")
def show(key: str, target: str | None, as_json: bool) -> None:
    """Show each value that counts, and where it is written: in a file, a variable, or the program.

    KEY is a key such as server.http; all are shown without it. The app is loaded and not started; what is shown are
    the configurations that it watches: App(hooks=[config.watching]). Secrets are not shown.
    """
    from kratos.tools.cli.configured import found, rows, text  # noqa: PLC0415 - loads the runtime

    values = found(target, key)
    if as_json:
        show_json(rows(values))
        return
    for line in text(values):
        print_line(line)
