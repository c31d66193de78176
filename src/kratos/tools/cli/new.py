"""``kratos new``."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kratos.tools.cli.places import counted
from kratos.tools.cli.terminal import note, paint, show, show_json, wrapped
from kratos.tools.failure import USAGE, Failure

if TYPE_CHECKING:
    from kratos.tools.scaffold.addition import Added
    from kratos.tools.scaffold.project import Made

__all__ = ["command"]

_LAYERED = "layered"
_LAYOUTS = ("simple", _LAYERED)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_WAIT = 86400.0

_EXAMPLES = """\b
Examples:
  kratos new shop
  kratos new shop --layout layered
  kratos new shop --template git@example.com:team/template.git
  cd shop && kratos new users
"""

_SETTINGS: Final = "pyproject.toml"
_CHANGED: Final = "knows it now"
_PARTS: Final = {
    "api": "the contract, in Protobuf",
    "configs": "the configuration",
    "tests": "tests, over HTTP and gRPC",
    "deploy": "what runs it in Kubernetes",
    "Dockerfile": "what it runs in",
    "Makefile": "make help lists what it can do",
    "pyproject.toml": "dependencies and settings",
    "README.md": "what is where",
}


def _seconds(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """Reads a time: seconds, or with units as Go writes them."""
    text = f"{value}s" if re.fullmatch(r"\d+(\.\d+)?", value) else value
    if not re.fullmatch(f"({_DURATION.pattern})+", text):
        raise click.BadParameter(f"{value!r} is no time, such as 60 or 1m30s", ctx, param)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))
    if not 0 < seconds <= _LONGEST_WAIT:
        raise click.BadParameter(f"{value!r} is not more than nothing and at most a day", ctx, param)
    return seconds


@click.command(epilog=_EXAMPLES)
@click.argument("typed", metavar="NAME")
@click.option("--layout", type=click.Choice(_LAYOUTS), help="One file (the default), or layers.")
@click.option("-r", "--template", "--repo", "reference", metavar="PATH|GIT", help="A template of your own.")
@click.option("-b", "--branch", help="The template's branch or tag.")
@click.option("-t", "--timeout", callback=_seconds, metavar="SECONDS", default="60", show_default=True,
              help="How long a clone may take.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
def command(
    *, typed: str, layout: str | None, reference: str | None, branch: str | None, timeout: float, as_json: bool
) -> None:
    """Make a project that serves and has tests.

    NAME is its folder; the last part of it names the project. In the folder of a project it is a further app of it: a
    package that shares its protos, its generated code and its settings.
    """
    # Loaded on demand: these bring jinja and the generator.
    from kratos.tools.codegen.project import Project, generate  # noqa: PLC0415 - as just said
    from kratos.tools.scaffold import addition, clone, names, project, template  # noqa: PLC0415 - as just said

    if reference is not None and layout is not None:
        raise click.UsageError("--layout is one of ours and --template one of yours: give one of them")
    if reference is None and branch is not None:
        raise click.UsageError("--branch needs a --template to be of")
    called = names.Names.of(typed)
    around = Project.find(called.root.parent) if reference is None else None
    if around is not None:
        if layout == _LAYERED:
            raise Failure(
                f"{called.root} is inside of the project {around.root}: an app that joins it shares its configuration, "
                "and so has no layers of its own",
                hint=f"kratos new {called.name}",
                code=USAGE,
            )
        added = addition.add(around, called)
        with _said_first(f"added {called.name} to {around.root}", "kratos generate"):
            generate(Project.load(around.root))
        _tell_added(added, as_json=as_json)
        return
    project.check(called)  # before something is cloned for nothing
    source = (
        nullcontext(template.Template.built_in(layout or _LAYOUTS[0]))
        if reference is None
        else clone.fetched(reference, branch=branch or "", timeout=timeout)
    )
    with source as found:
        made = project.make(called, found)
    with _said_first(f"made {called.root}", f"cd {_typed(made)} && kratos generate"):
        made = project.fill(made)
    if as_json:
        show_json({"path": str(called.root), "package": called.package, "layout": made.layout, "files": made.files})
        return
    _tell(made, built_in=reference is None)


@contextmanager
def _said_first(done: str, hint: str) -> Generator[None]:
    """Says what was done where the code for it cannot be generated."""
    try:
        yield
    except Failure as failure:
        note(f"{done}, but not its generated code")
        raise Failure(str(failure), hint=failure.hint or hint) from failure


def _tell(made: Made, *, built_in: bool) -> None:
    """Says what was made, and what to type next."""
    show(f"{paint('made', 'good')} {paint(made.names.name, 'strong')}, {made.layout}: {len(made.files)} files")
    show()
    tops = dict.fromkeys(path.partition("/")[0] for path in made.files)
    package = made.names.package
    parts = {package: f"the code; {package}/gen is generated", **_PARTS} if built_in else dict.fromkeys(tops, "")
    listed = {f"{top}/" if f"{top}/" in _folders(made) else top: what for top, what in parts.items() if top in tops}
    width = max(map(len, listed)) + 2
    for top, what in listed.items():
        show(f"  {paint(top.ljust(width), 'name')}{what}".rstrip())
    show()
    show("next:")
    for line in _next(made, built_in=built_in):
        show(f"  {line}")


def _tell_added(added: Added, *, as_json: bool) -> None:
    """Says what was added to a project, and what to type next."""
    names = added.names
    if as_json:
        show_json({"path": str(names.root), "package": names.package, "layout": "app", "files": added.files})
        return
    project = names.root.name
    show(f"{paint('added', 'good')} {paint(names.name, 'strong')} to {project}: {counted(len(added.files), 'file')}")
    show()
    width = max(map(len, added.files)) + 2
    for name in added.files:
        show(f"  {paint(name.ljust(width), 'name')}{_CHANGED if name == _SETTINGS else ''}".rstrip())
    for key, entry in added.left.items():
        note(wrapped(f'{_SETTINGS}: add "{entry}" to {key}, which could not be done here'))
    show()
    show("next:")
    for line in (
        f"kratos run {names.package} --reload",
        f"curl localhost:{added.ports[0]}/helloworld/kratos",
        "pytest",
    ):
        show(f"  {line}")


def _folders(made: Made) -> set[str]:
    return {f"{path.partition('/')[0]}/" for path in made.files if "/" in path}


def _next(made: Made, *, built_in: bool) -> list[str]:
    here = [] if made.names.root == Path.cwd() else [f"cd {_typed(made)}"]
    if built_in:
        return [*here, "kratos run --reload", "curl localhost:8000/helloworld/kratos", "pytest"]
    return here + (["cat README.md"] if "README.md" in made.files else ["ls"])


def _typed(made: Made) -> str:
    """Returns the project's folder as somebody would type it here."""
    root = made.names.root
    return shlex.quote(os.path.relpath(root) if root.is_relative_to(Path.cwd()) else str(root))
