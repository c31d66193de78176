"""``kratos openapi``."""

from __future__ import annotations

from pathlib import Path

import click

from kratos.tools.cli.target import Target
from kratos.tools.cli.terminal import note
from kratos.tools.failure import Failure

__all__ = ["command"]


@click.command
@click.argument("target", required=False)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it to a file.")
@click.option("--format", "form", type=click.Choice(["json", "yaml"]), help="json, unless the file is .yaml or .yml.")
@click.option("--exact", is_flag=True, help="Describe every value that can be on the wire, for tools that check bytes.")
def command(target: str | None, output: Path | None, form: str | None, exact: bool) -> None:
    """Print the OpenAPI document of the project's app.

    TARGET is an app of the project, or module:attribute; not needed where there is one app. The same app gives the
    same bytes.
    """
    from kratos.tools.cli.documenting import documented  # noqa: PLC0415 - help and completion do without the app

    as_yaml = form == "yaml" if form else output is not None and output.suffix in (".yaml", ".yml")
    text, anything = documented(Target.of(target, command="kratos openapi"), exact=exact, as_yaml=as_yaml)
    if not anything:
        note("no rpc of this app has an HTTP binding: the document has no paths")
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8", newline="\n")
    except OSError as failure:
        raise Failure(f"cannot write {output}: {failure.strerror or failure}") from failure
    note(f"wrote {output}")
