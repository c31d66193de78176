"""``kratos run``."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from kratos.tools.cli.target import SeveralApps, Target

__all__ = ["command"]

_REST = f"{__name__}.rest"
_LAST_PORT = 65535


def _port(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    """Takes what can be a port; click's own type for ranges spells them out in the help."""
    if value is not None and not 0 <= value <= _LAST_PORT:
        raise click.BadParameter(f"{value} is no port: they go from 0 to {_LAST_PORT}", ctx, param)
    return value


class _Command(click.Command):
    """A command that leaves alone what follows ``--``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Splits the command line; without this the first word behind ``--`` could pass for the target."""
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_REST] = tuple(args[at + 1 :])
        return super().parse_args(ctx, args[:at])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Returns the words of the usage line."""
        return [*super().collect_usage_pieces(ctx), "[-- ARGUMENTS...]"]


@click.command(cls=_Command)
@click.argument("target", required=False)
@click.option("--reload", "reloads", is_flag=True, help="Follow changes of code, protos and configuration.")
@click.option("--host", default="", metavar="HOST", help="Listen there, instead of where the app says.")
@click.option("--port", type=int, callback=_port, metavar="PORT", help="The port for HTTP; 0 takes a free one.")
@click.option("--grpc-port", type=int, callback=_port, metavar="PORT", help="The port for gRPC; 0 takes a free one.")
@click.option("--admin-port", type=int, callback=_port, metavar="PORT", help="The port for operators; 0 as above.")
@click.option("--env-file", default="", metavar="FILE",
              help="Set environment variables from KEY=VALUE lines; those that are set win.")  # fmt: skip
@click.pass_context
def command(ctx: click.Context, /, target: str | None, reloads: bool, **settings: Any) -> None:
    """Serve the project's app until Ctrl-C.

    TARGET is an app of the project, or module:attribute: an App, or a function, plain or async, that makes one. It is
    not needed where there is one app. What follows -- is for the app: it finds it in sys.argv.

    With --reload a new process gets ready while the old one still serves. What does not load, and a proto that does
    not compile, is told with its place, and the old version goes on.
    """
    found = _found(target)
    if settings["env_file"]:
        settings["env_file"] = os.path.abspath(settings["env_file"])
    from kratos.tools.cli.serving import Serving, serve  # noqa: PLC0415 - loads the runtime, which help does without

    serving = Serving(
        module=found.module,
        attribute=found.attribute,
        root=str(found.root),
        arguments=ctx.meta[_REST],
        debug=bool(ctx.find_root().params.get("debug")),
        **settings,
    )
    if not reloads:
        serve(serving)
        return
    from kratos.tools.cli.supervising import supervise  # noqa: PLC0415 - loads the watcher

    if code := supervise(serving):
        ctx.exit(code)


def _found(reference: str | None) -> Target:
    """Returns what to serve; of several apps a person at a terminal may choose one."""
    try:
        return Target.of(reference)
    except SeveralApps as several:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        return Target.of(click.prompt("which app", type=click.Choice([*several.apps]), err=True))
