"""The root of the command line: which commands there are, what they have in common, and how a failure looks.

A command is a module, imported when it is called: ``kratos version`` loads neither a server nor a code generator.
"""

from __future__ import annotations

import difflib
import os
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

import click
from click.shell_completion import CompletionItem, shell_complete

from kratos.tools.cli.completion import VARIABLE
from kratos.tools.cli.terminal import error, leave_stdout
from kratos.tools.failure import FAILED, INTERRUPTED, USAGE, Failure
from kratos.version import __version__

__all__ = ["COMMANDS", "LazyGroup", "run"]

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "new": ("new", "Make a project that serves and has tests."),
    "run": ("run", "Serve the project's app until Ctrl-C."),
    "call": ("call", "Call an operation of a running service."),
    "generate": ("generate", "Generate Python from the project's protos."),
    "proto": ("proto", "Draft protos and the code that implements them."),
    "cache": ("cache", "Write classes that cache what a Protocol's methods return."),
    "lint": ("lint", "Find what is unwise in the project: protos, code, configuration."),
    "format": ("format", "Format the project's protos and Python."),
    "test": ("test", "Draft tests of the project's services."),
    "routes": ("routes", "Show what the project's app serves, and its limits."),
    "config": ("config", "Show how the project's app is configured."),
    "doctor": ("doctor", "Say what is wrong with the installation and the project."),
    "openapi": ("openapi", "Print the OpenAPI document of the project's app."),
    "upgrade": ("upgrade", "Take over what has changed in the project's template."),
    "build": ("build", "Build the project's wheel, and its image."),
    "changelog": ("changelog", "Print what has changed, by the repository's commits."),
    "completion": ("completion", "Print a script that completes commands in your shell."),
    "version": ("version", "Print the version."),
}
"""Module and summary of each command; the module's ``command`` is the click command."""


class LazyGroup(click.Group):
    """A group of commands in modules that are imported when they are called.

    Args:
        homes: Module and summary of each command, by name; modules are those of this package.
        settings: What click's group takes.
    """

    def __init__(self, *, homes: Mapping[str, tuple[str, str]], **settings: Any) -> None:
        super().__init__(**settings)
        self._homes = homes

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Returns the names in the order in which people need them."""
        return list(self._homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Imports a command."""
        if cmd_name not in self._homes:
            return None
        command: click.Command = import_module(f"kratos.tools.cli.{self._homes[cmd_name][0]}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds a command by its name; a wrong one is answered with the nearest."""
        name = args[0]
        if name not in self._homes and not name.startswith("-"):
            near = difflib.get_close_matches(name, self._homes, 1, 0.5)
            typed = " ".join([ctx.command_path, *near, *(args[1:] if near else ["--help"])])
            raise Failure(f"{ctx.command_path} has no command {name!r}", hint=typed, code=USAGE)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Completes names and options without importing a command."""
        names = [
            CompletionItem(name, help=summary)
            for name, (_, summary) in self._homes.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Writes the summaries without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self._homes.items()])


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"kratos version v{__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    homes=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="\b\nkratos COMMAND --help says more.\nExit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
)
@click.option("-v", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
              help="Print the version.")  # fmt: skip
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
def _root(debug: bool) -> None:
    """Microservices in Python from one contract, over HTTP and gRPC.

    New here? Try: kratos new shop
    """


def run(arguments: Sequence[str], *, program: str = "kratos") -> int:
    """Runs one command and returns its exit code; whatever fails is told on stderr.

    Args:
        arguments: The command line without the program.
        program: What the program is called in help and hints.
    """
    if asked := os.environ.get(VARIABLE):
        return shell_complete(_root, {}, program, VARIABLE, asked)
    debug = "--debug" in arguments[: _first_word(arguments)]
    try:
        with _root.make_context(program, list(arguments)) as context:
            _root.invoke(context)
    except BrokenPipeError:  # whoever read our output has enough: `kratos routes | head -3`
        leave_stdout()
    except Exception as failure:
        if debug and not isinstance(failure, click.ClickException | click.exceptions.Exit):
            traceback.print_exc()
        return _told(failure)
    except KeyboardInterrupt:
        return _interrupted()
    return 0


def _first_word(arguments: Sequence[str]) -> int:
    """Returns where the command is: options of the program come before it."""
    return next((at for at, each in enumerate(arguments) if not each.startswith("-")), len(arguments))


def _told(failure: Exception) -> int:
    """Tells about a failure and returns the exit code it stands for."""
    message, hint, code = str(failure), "", FAILED
    match failure:
        case click.exceptions.Exit():  # --help and the like: all is said
            return failure.exit_code
        case click.Abort():
            return _interrupted()
        case click.exceptions.NoArgsIsHelpError():
            failure.show()
            return USAGE
        case click.UsageError():
            path = failure.ctx.command_path if failure.ctx else "kratos"
            message, hint, code = failure.format_message(), f"{path} --help", USAGE
        case click.ClickException():
            message = failure.format_message()
        case Failure():
            hint, code = failure.hint, failure.code
        case _:
            message, hint = f"{type(failure).__name__}: {failure}", "kratos --debug … shows where it comes from"
    error(message, hint=hint)
    return code


def _interrupted() -> int:
    click.echo(err=True)
    return INTERRUPTED
