"""``kratos version``."""

from __future__ import annotations

import platform

import click

from kratos.tools.cli.terminal import show, show_json
from kratos.version import __version__

__all__ = ["command"]


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, with the versions of what it runs on.")
def command(as_json: bool) -> None:
    """Print the version."""
    if not as_json:
        show(f"kratos version v{__version__}")
        return
    show_json({"kratos": __version__, "python": platform.python_version(), "platform": platform.platform()})
