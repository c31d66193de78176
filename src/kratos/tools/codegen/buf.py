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
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from kratos.tools.failure import Failure

__all__ = ["BufError", "Finding", "Plugin", "executable", "generate"]

_PLACE = re.compile(r"(?P<path>[^:]+\.proto):(?P<line>\d+):(?P<column>\d+): (?P<message>.*)")
_STOPPED = ("signal: killed", "context canceled")  # the other plugins, when one has failed


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that buf has to say about a ``.proto`` file; line and column start at 1, 0 is unknown."""

    path: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part)
        return f"{place}: {self.message}" if place else self.message


class BufError(Failure):
    """The protos do not compile, or a plugin refused them.

    Args:
        findings: What is wrong and where.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = tuple(findings)


@dataclass(frozen=True, slots=True)
class Plugin:
    """A code generator to run.

    Attributes:
        entry: ``module:function`` of a Python plugin; it runs under this interpreter, so nothing depends on PATH.
        out: The folder to write to.
        options: Plugin options, ``key=value``.
    """

    entry: str
    out: Path
    options: tuple[str, ...] = ()

    def command(self) -> list[str]:
        """Returns how the plugin is run."""
        module, _, function = self.entry.partition(":")
        return [sys.executable, "-c", f"from {module} import {function} as run; run()"]

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
    config = {"version": "v2", "modules": [{"path": module} for module in modules]}
    plugins = list(plugins)
    template = {"version": "v2", "plugins": [plugin.template() for plugin in plugins]}
    command = [executable(), "generate", ".", "--config", json.dumps(config), "--template", json.dumps(template)]
    for path in paths:
        command += ["--path", path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(  # noqa: S603 - our own command line
        [*command, "--error-format", "json"], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = done.stdout + done.stderr
        for plugin in plugins:  # buf names a plugin by its whole command line
            said = said.replace(f"plugin {' '.join(plugin.command())}: ", "")
        raise BufError(_findings(said.splitlines()))


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
        found.get("path", ""), found.get("start_line", 0), found.get("start_column", 0), found.get("message", line)
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
