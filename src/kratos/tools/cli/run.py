"""``kratos run``."""

from __future__ import annotations

import os
from typing import Any

import click

from kratos.tools.cli.target import Target

__all__ = ["command"]

_REST = f"{__name__}.rest"
_PORT = click.IntRange(0, 65535)


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
@click.option("--port", type=_PORT, help="The port for HTTP; 0 takes a free one.")
@click.option("--grpc-port", type=_PORT, help="The port for gRPC; 0 takes a free one.")
@click.option("--env-file", default="", metavar="FILE",
              help="Set environment variables from KEY=VALUE lines; those that are set win.")  # fmt: skip
@click.pass_context
def command(ctx: click.Context, /, target: str | None, reloads: bool, **settings: Any) -> None:
    """Serve the project's app until Ctrl-C.

    TARGET is module:attribute, the project's app if not given: an App, or a function, plain or async, that makes one.
    What follows -- is for the app: it finds it in sys.argv.

    With --reload a new process gets ready while the old one still serves. What does not load, and a proto that does
    not compile, is told with its place, and the old version goes on.
    """
    found = Target.of(target)
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
