"""Drives buf: offline, with local plugins only, and with its findings as data.

buf compiles, lints and formats; the plugins write. The build hook uses this module before the package is installed,
so it stands on the standard library alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from kratos.tools.failure import Failure

__all__ = ["BufError", "Finding", "Plugin", "breaking", "describe", "executable", "formatted", "generate", "lint"]

_PLACE = re.compile(r"(?P<path>[^:]+\.proto):(?P<line>\d+):(?P<column>\d+): (?P<message>.*)")
_COMPILE = "COMPILE"  # what buf calls the rule that a file must compile
_STOPPED = ("signal: killed", "context canceled")  # the other plugins, when one has failed


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that buf has to say about a ``.proto`` file; line and column start at 1, 0 is unknown.

    Attributes:
        path: The file, relative to the workspace.
        line: The line.
        column: The column.
        message: What is wrong.
        rule: The lint rule that is broken, if it is one.
    """

    path: str
    line: int
    column: int
    message: str
    rule: str = ""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part)
        return f"{place}: {self.message}" if place else self.message


class BufError(Failure):
    """The protos do not compile, or a plugin refused them.

    Args:
        findings: What is wrong and where.
        note: What helps to understand it; the message ends with it.
    """

    def __init__(self, findings: Sequence[Finding], *, note: str = "") -> None:
        super().__init__("\n".join(filter(None, [*map(str, findings), note])))
        self.note = note
        self.findings = tuple(findings)


@dataclass(frozen=True, slots=True)
class Plugin:
    """A code generator to run.

    Attributes:
        entry: ``module:function`` of a Python plugin; it runs under this interpreter, so nothing depends on PATH.
        out: The folder to write to.
        options: Plugin options, ``key=value``.
        path: A folder in which its module is found, where the interpreter would not look.
    """

    entry: str
    out: Path
    options: tuple[str, ...] = ()
    path: Path | None = None

    def command(self) -> list[str]:
        """Returns how the plugin is run."""
        module, _, function = self.entry.partition(":")
        here = "" if self.path is None else f"import sys; sys.path.insert(0, {str(self.path)!r}); "
        # -P: buf runs in the project, whose modules must not stand in for ours or the standard library's.
        return [sys.executable, "-P", "-c", f"{here}from {module} import {function} as run; run()"]

    def template(self) -> Mapping[str, object]:
        """Returns the plugin as an entry of ``buf.gen.yaml``."""
        return {"local": self.command(), "out": str(self.out), "opt": list(self.options), "strategy": "all"}


def generate(root: Path, modules: Iterable[str], plugins: Iterable[Plugin], *, paths: Iterable[str] = ()) -> None:
    """Runs plugins over the protos of a workspace.

    Args:
        root: The workspace; buf sees nothing outside of it.
        modules: Import roots, relative to ``root``.
        plugins: What to run, in order.
        paths: What to generate, relative to ``root``; everything if empty.

    Raises:
        BufError: The protos do not compile, or a plugin refused them.
        Failure: buf is not installed.
    """
    plugins = list(plugins)
    template = {"version": "v2", "plugins": [plugin.template() for plugin in plugins]}
    arguments = ["generate", "--template", json.dumps(template), "--error-format", "json"]
    done = _run(root, modules, arguments, paths)
    if done.returncode != 0:
        said = _text(done.stdout) + _text(done.stderr)
        for plugin in plugins:  # buf names a plugin by its whole command line
            said = said.replace(f"plugin {' '.join(plugin.command())}: ", "")
        raise BufError(_findings(said.splitlines()))


def lint(root: Path, modules: Iterable[str], rules: Mapping[str, object], *, paths: Iterable[str]) -> list[Finding]:
    """Returns what breaks lint rules.

    Args:
        root: The workspace; buf sees nothing outside of it.
        modules: Import roots, relative to ``root``.
        rules: The ``lint`` part of a ``buf.yaml``; ``buf:lint:ignore`` comments count besides.
        paths: What to judge, relative to ``root``.

    Raises:
        BufError: The protos do not compile.
        Failure: buf is not installed.
    """
    done = _run(root, modules, ["lint", "--error-format", "json"], paths, lint=rules)
    if done.returncode == 0:
        return []
    found = _findings((_text(done.stdout) + _text(done.stderr)).splitlines())
    if all(finding.rule not in ("", _COMPILE) for finding in found):
        return found
    raise BufError([replace(finding, rule="") for finding in found])


def breaking(root: Path, modules: Iterable[str], before: Path, rules: Mapping[str, object]) -> list[Finding]:
    """Returns what a contract had before and has no more.

    Args:
        root: The workspace; buf sees nothing outside of it.
        modules: Import roots, relative to ``root``.
        before: The workspace of the other version, with the same import roots.
        rules: The ``breaking`` part of a ``buf.yaml``.

    Raises:
        BufError: One of the two does not compile.
        Failure: buf is not installed.
    """
    modules = list(modules)
    config = json.dumps({"version": "v2", "modules": [{"path": module} for module in modules], "breaking": rules})
    arguments = ["breaking", "--against", str(before), "--against-config", config, "--error-format", "json"]
    done = _run(root, modules, arguments, (), breaking=rules)
    if done.returncode == 0:
        return []
    found = _findings((_text(done.stdout) + _text(done.stderr)).splitlines())
    if all(finding.rule not in ("", _COMPILE) for finding in found):
        return found
    raise BufError([replace(finding, rule="") for finding in found])


def formatted(root: Path, modules: Iterable[str], *, paths: Iterable[str]) -> None:
    """Formats protos where they are.

    Args:
        root: The workspace; buf sees nothing outside of it.
        modules: Import roots, relative to ``root``.
        paths: What to format, relative to ``root``.

    Raises:
        BufError: A file cannot be read as a proto.
        Failure: buf is not installed.
    """
    done = _run(root, modules, ["format", "--write", "--error-format", "json"], paths)
    if done.returncode != 0:
        raise BufError([replace(finding, rule="") for finding in _findings(_text(done.stderr).splitlines())])


def describe(root: Path, modules: Iterable[str], *, paths: Iterable[str]) -> bytes:
    """Returns a ``FileDescriptorSet`` with imports, places and comments, encoded.

    Args:
        root: The workspace; buf sees nothing outside of it.
        modules: Import roots, relative to ``root``.
        paths: What to describe, relative to ``root``.

    Raises:
        BufError: The protos do not compile.
        Failure: buf is not installed.
    """
    arguments = ["build", "--as-file-descriptor-set", "--output", "-", "--error-format", "json"]
    done = _run(root, modules, arguments, paths)
    if done.returncode != 0:
        raise BufError([replace(finding, rule="") for finding in _findings(_text(done.stderr).splitlines())])
    return done.stdout


def _run(
    root: Path, modules: Iterable[str], arguments: Sequence[str], paths: Iterable[str], **config: object
) -> subprocess.CompletedProcess[bytes]:
    """Runs a command of buf's in a workspace that is described on the command line: no file of it stays behind."""
    workspace = {"version": "v2", "modules": [{"path": module} for module in modules], **config}
    verb, *options = arguments
    command = [executable(), verb, ".", "--config", json.dumps(workspace), *options]
    for path in paths:
        command += ["--path", f'"{path}"' if "," in path else path]  # read as a line of CSV
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, check=False)  # noqa: S603 - our own command line


def _text(said: bytes) -> str:
    return said.decode("utf-8", "replace")


def _findings(lines: Iterable[str]) -> list[Finding]:
    findings = [_finding(line) for line in lines if line.strip() and line not in _STOPPED]
    return findings or [Finding("", 0, 0, "buf failed without a word")]


def _finding(line: str) -> Finding:
    """Reads one line of buf's, or of a plugin's that says ``file:line:column: message``."""
    line = line.removeprefix("Failure: ")
    if place := _PLACE.fullmatch(line):
        return Finding(place["path"], int(place["line"]), int(place["column"]), place["message"])
    try:
        found = json.loads(line)
    except ValueError:
        return Finding("", 0, 0, line)
    return Finding(
        found.get("path", ""),
        found.get("start_line", 0),
        found.get("start_column", 0),
        found.get("message", line),
        found.get("type", ""),
    )


def executable() -> str:
    """Returns the path of buf: the one in the wheel, else the one on PATH.

    Raises:
        Failure: There is none.
    """
    try:
        wheel = distribution("buf-bin")
    except PackageNotFoundError:
        wheel = None
    for file in (wheel.files or ()) if wheel else ():
        if file.stem == "buf" and file.suffix in ("", ".exe"):
            return str(Path(str(wheel.locate_file(file))).resolve()) if wheel else ""
    found = shutil.which("buf")
    if found is None:
        raise Failure("buf is missing", hint='pip install "kratos-py[tools]"')
    return found
