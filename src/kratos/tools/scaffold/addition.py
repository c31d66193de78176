"""Adds an app to a project: all of it, or nothing.

The app is a package beside the project's own. It shares with it what a repository has once: the protos and the code
generated from them, pyproject.toml, the tests and how they are run.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from kratos.tools.codegen.apps import apps
from kratos.tools.codegen.project import Project
from kratos.tools.failure import USAGE, Failure
from kratos.tools.scaffold.names import Names
from kratos.tools.scaffold.project import PORTS, check, variables
from kratos.tools.scaffold.settings import extended
from kratos.tools.scaffold.template import Template

__all__ = ["Added", "add"]

_PACKAGE: Final = "{{ package }}"
_LAYOUT: Final = "simple"
_CONTRACT: Final = "api"
_SOURCES: Final = "src"


@dataclass(frozen=True, slots=True)
class Added:
    """An app that was added.

    Attributes:
        names: What it is called; its root is that of the project.
        reference: What ``kratos run`` knows it by.
        files: Its files, and those that changed, as paths below the project's folder.
        ports: Where it listens: HTTP, gRPC, then for operators.
        left: What is to be said in ``pyproject.toml`` and could not be written there: a key, and what it lacks.
    """

    names: Names
    reference: str
    files: tuple[str, ...]
    ports: tuple[int, int, int]
    left: Mapping[str, str]


def add(project: Project, called: Names) -> Added:
    """Adds an app; whatever it needs of generated code is to be generated after that.

    Protos that the project has already are left as they are.

    Raises:
        Failure: Something is there already, cannot be there, or cannot be written; nothing was changed.
    """
    root = project.root
    _check(project, called)
    present = apps(root, project)
    http, grpc, admin = (port + len(present) for port in PORTS)
    ports = (http, grpc, admin)
    named = Names(root, called.name, called.package)
    filled = variables(named, _LAYOUT, gen=project.out.replace("/", "."), ports=ports)
    template = Template.built_in(_LAYOUT)
    wanted = [(home, path) for home, path in template.files() if _belongs(path, project)]
    reference = f"{called.package}.main:app"
    settings = root / "pyproject.toml"
    before = settings.read_bytes()  # not read_text(): ends of lines are to stay what they are
    after, left = extended(before.decode(), _entries(project, called, reference))
    try:
        with tempfile.TemporaryDirectory(prefix=f".{called.package}-", dir=root) as folder:
            made = _placed(template.render(wanted, filled, Path(folder)), project)
            settings.write_bytes(after.encode())
            try:
                _move(made, Path(folder), root)
            except BaseException:
                settings.write_bytes(before)
                raise
    except OSError as error:
        raise Failure(f"cannot add to {root}: {error.strerror or error} ({error.filename})") from error
    changed = [settings.name] if after.encode() != before else []
    return Added(named, reference, tuple(sorted([*made.values(), *changed])), ports, left)


def _check(project: Project, called: Names) -> None:
    beside = project.root / called.package
    if called.root.parent.resolve() != project.root.resolve():
        raise Failure(
            f"{called.root} is inside of the project {project.root}, whose apps are packages beside each other",
            hint=f"cd {shlex.quote(str(project.root))} && kratos new {called.name}",
            code=USAGE,
        )
    if PurePosixPath(project.out).parts[0] == _SOURCES:
        raise Failure(
            f"{project.root} keeps its code in {_SOURCES}: apps cannot be added there",
            hint=f"kratos new {shlex.quote(str(project.root.with_name(called.name)))}",
            code=USAGE,
        )
    check(Names(beside, called.name, called.package))


def _entries(project: Project, called: Names, reference: str) -> dict[str, str]:
    """Returns what the lists of ``pyproject.toml`` are to have; what apps there are follows from folders otherwise."""
    package = {"tool.hatch.build.targets.wheel.packages": called.package, "tool.mypy.files": called.package}
    return ({"tool.kratos.app": reference} if project.app else {}) | package


def _belongs(path: Path, project: Project) -> bool:
    """Tells whether a file of the template is the app's own, or a proto that the project lacks."""
    top, *rest = path.parts
    if top == _CONTRACT:
        return not any((project.root / folder).joinpath(*rest).exists() for folder in project.protos)
    return top in (_PACKAGE, "tests")


def _placed(files: Iterable[str], project: Project) -> dict[str, str]:
    """Returns where files go, by where they are: protos into the project's first folder of protos."""
    found: dict[str, str] = {}
    for name in files:
        top, *rest = PurePosixPath(name).parts
        found[name] = "/".join((project.protos[0], *rest)) if top == _CONTRACT else name
    taken = [name for name in found.values() if (project.root / name).exists()]
    if taken:
        raise Failure(f"{project.root / taken[0]} is there already. Nothing was changed", code=USAGE)
    return found


def _move(files: Mapping[str, str], workshop: Path, root: Path) -> None:
    """Puts files into their places; if one cannot be put there, none is."""
    moved: list[Path] = []
    try:
        for source, target in files.items():
            (root / target).parent.mkdir(parents=True, exist_ok=True)
            os.rename(workshop / source, root / target)
            moved.append(root / target)
    except BaseException:
        for path in moved:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # there are other things in it
                path.parent.rmdir()
        raise
