"""A project: its table, its app, its generated code, its ports, its folders.

The app is loaded by ``kratos routes`` in a process of its own: whatever it does on import, the doctor goes on.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from kratos.service import CONTRACT
from kratos.tools.codegen.apps import apps
from kratos.tools.codegen.project import Project, generate
from kratos.tools.doctor.checkup import Finding
from kratos.tools.failure import Failure
from kratos.transport.listen import Address, listen

__all__ = ["contracts", "drift", "loaded_app", "ports", "proto_packages", "table", "writable_folders"]

_REQUIRES: Final = re.compile(r"^require\((\d+), ", re.MULTILINE)
_PACKAGE: Final = re.compile(r"^\s*package\s+([\w.]+)\s*;", re.MULTILINE)
_COMMENT: Final = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_SHOWN: Final = 3


def table(start: Path) -> Iterator[Finding]:
    """Says whether there is a project around a folder, and whether its table is right."""
    try:
        project = Project.find(start)
    except (Failure, OSError, UnicodeDecodeError) as wrong:
        yield Finding("bad", "project", str(wrong), "correct [tool.kratos] in pyproject.toml")
        return
    if project is None:
        yield Finding("ok", "project", "none here: nothing of a project is checked")
    else:
        yield Finding("ok", "project", f"{project.root}: {', '.join(project.protos)} to {project.out}")


def loaded_app(project: Project, *, seconds: float = 20.0) -> Iterator[Finding]:
    """Says whether each app can be loaded, with the place if not, and whether its ports can be had."""
    found = apps(project.root, project)
    if not found:
        advice = 'in pyproject.toml: [tool.kratos] app = "shop.main:app"'
        yield Finding("warn", "app", "[tool.kratos] does not say which app to serve", advice)
    for app in found:
        yield from _loaded(project, app, seconds)


def _loaded(project: Project, app: str, seconds: float) -> Iterator[Finding]:
    # -P: a folder called kratos in the project is another check's business.
    command = [sys.executable, "-P", "-m", "kratos.tools.cli", "routes", app, "--json"]
    try:
        code, out, said = _run(command, project.root, seconds)
    except subprocess.TimeoutExpired:
        detail = f"{app} was not loaded within {seconds:g} s"
        yield Finding("bad", "app", detail, "connect to databases in hooks, and call app.run() in __main__.py only")
        return
    if code or not out:
        yield Finding("bad", "app", _last_words(said), f"kratos --debug routes {app}")
        return
    rows = _rows(out)
    if rows is None:
        detail = f"{app} prints to stdout when it is imported"
        yield Finding("warn", "app", detail, "print to stderr, or log: stdout belongs to commands that print results")
        return
    yield Finding("ok", "app", app)
    yield from ports(list(dict.fromkeys(row["server"] for row in rows)))


def _run(command: Sequence[str], folder: Path, seconds: float) -> tuple[int, bytes, bytes]:
    """Runs a program in a session of its own; what it has started ends with it, and with us."""
    process = subprocess.Popen(  # noqa: S603 - our own command line
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    atexit.register(_kill, process)  # Ctrl-C in a terminal does not reach another session
    try:
        out, said = process.communicate(timeout=seconds)
    finally:
        _kill(process)
        atexit.unregister(_kill)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return process.returncode, out, said


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _last_words(stderr: bytes) -> str:
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    told = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (told or lines or ["it ends the process when it is imported"])[-1]


def _rows(stdout: bytes) -> list[dict[str, Any]] | None:
    try:
        rows: list[dict[str, Any]] = json.loads(stdout)
    except ValueError:
        return None
    return rows


def ports(endpoints: Sequence[str]) -> Iterator[Finding]:
    """Says whether the addresses of servers can be had, and who has them if not."""
    for endpoint in endpoints:
        try:
            address = Address.parse(urlsplit(endpoint).netloc)
        except ValueError:  # a server of somebody's own, which may listen on anything
            continue
        try:
            listen(address).close()
        except OSError as failure:
            reason, _, advice = (failure.strerror or str(failure)).partition("; ")
            yield Finding("warn", endpoint, reason.partition(": ")[2] or reason, advice)
        else:
            yield Finding("ok", endpoint, "free")


def contracts(project: Project) -> Iterator[Finding]:
    """Says whether this kratos fulfils what the generated code expects."""
    found: dict[int, Path] = {}
    for path in sorted((project.root / project.out).rglob("*_kratos.py")):
        for number in _REQUIRES.findall(path.read_text(encoding="utf-8", errors="replace")):
            found.setdefault(int(number), path)
    if not found:  # that it is missing says drift()
        return
    newest = max(found)
    if newest > CONTRACT:
        detail = f"{found[newest]} follows contract {newest}, this kratos-py knows up to {CONTRACT}"
        yield Finding("bad", "contract", detail, "pip install --upgrade kratos-py, or kratos generate")
    else:
        yield Finding("ok", "contract", f"{newest}, this kratos-py knows up to {CONTRACT}")


def drift(project: Project) -> Iterator[Finding]:
    """Says whether the generated code is what the protos say today."""
    try:
        changes = generate(project, write=False)
    except Failure as failure:
        first, *others = str(failure).splitlines() or [""]
        more = f" (and {len(others)} more)" if others else ""
        yield Finding("bad", "protos", first + more, failure.hint or "kratos generate")
        return
    if not changes:
        yield Finding("ok", "generated code", f"{changes.unchanged} files, as the protos say")
        return
    changed = sorted((*changes.written, *changes.removed), key=lambda path: path.name == "__init__.py")
    paths = [path.relative_to(project.root).as_posix() for path in changed]
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    detail = f"not what the protos say today: {', '.join(paths[:_SHOWN])}{more}"
    yield Finding("bad", "generated code", detail, "kratos generate")


def proto_packages(project: Project) -> Iterator[Finding]:
    """Says whether protos lie in the folders that their packages name: imports and generated code follow folders."""
    wrong: list[str] = []
    for folder in project.protos:
        root = project.root / folder
        for path in sorted(root.rglob("*.proto")):
            found = _PACKAGE.search(_COMMENT.sub("", path.read_text(encoding="utf-8", errors="replace")))
            place = path.parent.relative_to(root).as_posix()
            package = found[1] if found else ""
            if package.replace(".", "/") != place.removeprefix("."):
                named = f"package {package}" if package else "no package"
                wrong.append(f"{path.relative_to(project.root)} has {named}")
    if not wrong:
        yield Finding("ok", "proto packages", "each in its folder")
        return
    more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    advice = f"package shop.v1 belongs into {project.protos[0]}/shop/v1"
    yield Finding("warn", "proto packages", "; ".join(wrong[:_SHOWN]) + more, advice)


def writable_folders(project: Project) -> Iterator[Finding]:
    """Says whether the generator can write."""
    for place in (project.root / ".kratos", project.root / project.out):
        name = place.relative_to(project.root).as_posix()
        there = next(folder for folder in (place, *place.parents) if folder.exists())
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as failure:
            detail = f"cannot be written: {failure.strerror or failure}"
            yield Finding("bad", name, detail, f"make {there} a folder that you may write to")
        else:
            yield Finding("ok", name, "can be written")
