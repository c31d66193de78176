"""``kratos completion``."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

from kratos.tools.cli.terminal import show

__all__ = ["VARIABLE", "command"]

VARIABLE: Final = "_KRATOS_COMPLETE"
"""The environment variable by which the script asks the program for completions."""


@click.command
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a script that completes commands in your shell.

    \b
    bash  ~/.local/share/bash-completion/completions/kratos
    zsh   _kratos, in a folder of $fpath
    fish  ~/.config/fish/completions/kratos.fish

    Write it there, as in: kratos completion bash > FILE
    """
    root = ctx.find_root()
    completion = get_completion_class(shell)
    if completion is None:
        raise click.UsageError(f"there is no completion for {shell}")
    show(completion(root.command, {}, "kratos", VARIABLE).source())
