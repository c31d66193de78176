"""``kratos routes``."""

from __future__ import annotations

import click

from kratos.tools.cli.terminal import note, show, show_json

__all__ = ["command"]


@click.command
@click.argument("target", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a list with one object for each server and path.")
def command(target: str | None, as_json: bool) -> None:
    """Show what the project's app serves, and its limits.

    TARGET is an app of the project, or module:attribute; not needed where there is one app. The app is loaded and
    not started. Times are for a whole call, sizes for the largest message to receive.
    """
    from kratos.tools.cli.routetable import load, rows, text  # noqa: PLC0415 - loads the runtime

    app = load(target)
    if as_json:
        show_json(rows(app))
        return
    for line in text(app):
        show(line)
    if not app.servers:
        note("the app has no servers")
