"""What a contract must not break: another version of it, in git or in a folder."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Final

from kratos.tools.codegen import buf
from kratos.tools.codegen.project import Project
from kratos.tools.codegen.workspace import Workspace, aside
from kratos.tools.failure import USAGE, Failure
from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.proto.contract import Contract, read
from kratos.tools.lint.proto.routes import Route, routes

__all__ = ["RULES", "find"]

ROUTE: Final = Rule(
    "KRP121",
    "route-gone",
    "error",
    "An RPC no longer answers at a path where it did.",
    "Clients that call it there get 404. buf does not see this: a path is an option, and no part of the wire format.",
    "Keep the old path in additional_bindings.",
)
CODE: Final = Rule(
    "KRP122",
    "reason-changed",
    "error",
    "A reason has another code than before, or is none any more.",
    "Clients that look at the status, retries and dashboards among them, take the error for another one.",
    "Keep the code, and add a new reason.",
)
RULES: Final = (ROUTE, CODE)
"""The rules for another version, beside buf's."""

_BREAKING: Final = {"use": ["FILE"]}
"""Generated code is imported by file, so moving a message breaks who imports it."""


def find(project: Project, contract: Contract, against: str) -> Iterator[Finding]:
    """Yields what somebody relies on and would find no more.

    Args:
        project: The project.
        contract: Its contract as it is.
        against: A folder with the other version of the project, or of its protos; else a revision of git.

    Raises:
        Failure: There is no such version, or it does not compile.
    """
    with _other(project, against) as workspace:
        try:
            before = read(workspace)
        except buf.BufError as failure:
            raise Failure(f"the protos of {against} do not compile:\n{failure}") from failure
        if not before.paths:
            raise Failure(f"there are no protos in {against} to compare with", hint=f"looked in {_folders(project)}")
        for each in buf.breaking(contract.workspace.root, contract.workspace.modules, workspace.root, _BREAKING):
            if not each.path.startswith(".kratos/"):
                yield Finding(each.path, each.line, each.column, each.rule, each.message)
        yield from map(contract.placed, _routes(contract, before))
        yield from map(contract.placed, _codes(contract, before))


def _routes(now: Contract, before: Contract) -> Iterator[Finding]:
    present = {method.full_name: method for method in now.survey.methods}
    known: dict[tuple[str, ...], Route] = {(*route.key, route.method.full_name): route for route in routes(now.survey)}
    for route in routes(before.survey):
        method = present.get(route.method.full_name)
        if method is not None and (*route.key, method.full_name) not in known:
            place = method.place
            yield ROUTE.at(place.path, place.line, place.column, f"{method.name} no longer answers {route}")


def _codes(now: Contract, before: Contract) -> Iterator[Finding]:
    present = {(reason.enum, reason.name): reason for reason in now.survey.reasons}
    for reason in before.survey.reasons:
        found = present.get((reason.enum, reason.name))
        if reason.code and found is not None and found.code != reason.code:
            place = found.place
            said = f"{reason.name} was {reason.code} and is {found.code or 'no error'} now"
            yield CODE.at(place.path, place.line, place.column, said)


@contextmanager
def _other(project: Project, against: str) -> Generator[Workspace]:
    """Lends the other version, put together as ours is."""
    folder = Path(against)
    if folder.is_dir():
        roots = _roots(project, folder)
        with tempfile.TemporaryDirectory(prefix="kratos-") as name:
            for mine, there in roots.items():
                target = Path(name, mine)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(there.resolve())
            with aside(Workspace(Path(name), project.protos)) as workspace:
                yield workspace
        return
    with tempfile.TemporaryDirectory(prefix="kratos-") as name:
        _checkout(project, against, Path(name))
        with aside(Workspace(Path(name), project.protos)) as workspace:
            yield workspace


def _roots(project: Project, folder: Path) -> dict[str, Path]:
    """Returns where each folder of protos is: the project was named, or its one folder of protos."""
    found = {root: folder / root for root in project.protos if (folder / root).is_dir()}
    return found or {project.protos[0]: folder}


def _checkout(project: Project, revision: str, target: Path) -> None:
    """Puts the protos of a revision into a folder."""
    if revision.startswith("-"):
        raise Failure(f"{revision!r} is neither a folder nor a revision", code=USAGE)
    paths = [root for root in project.protos if _git(project, "cat-file", "-e", f"{revision}:./{root}").returncode == 0]
    done = _git(project, "archive", "--format=tar", revision, "--", *paths)
    if done.returncode != 0 or not paths:
        why = done.stderr.decode(errors="replace").strip().splitlines()[-1:] if done.returncode else []
        said = f" ({why[0]})" if why else f": it has none of {_folders(project)}"
        raise Failure(
            f"{revision} is neither a folder nor a revision of git{said}", hint="git log --oneline", code=USAGE
        )
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(target, filter="data")


def _git(project: Project, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = ["git", *arguments]
    try:
        return subprocess.run(command, cwd=project.root, capture_output=True, check=False)  # noqa: S603 - no shell, and no option
    except FileNotFoundError:
        raise Failure("git is not installed: compare with a folder instead") from None


def _folders(project: Project) -> str:
    return ", ".join(project.protos)
