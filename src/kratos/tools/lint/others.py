"""What others judge: ruff, mypy and pyright, as the project has set them up, for ``kratos lint --all``."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from kratos.tools.codegen.project import Project
from kratos.tools.failure import Failure
from kratos.tools.lint.base import Finding
from kratos.tools.lint.formatting import format_project

__all__ = ["Verdict", "judge", "whose"]

_LAST_WORDS: Final = 5
_MYPY_FILES: Final = frozenset({"files", "modules", "packages"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What others have said.

    Attributes:
        findings: What they have found; their rules are called ``RUFF_F401``, ``MYPY_ARG_TYPE``, ``PYRIGHT_…``.
        missing: The tools that the project has set up and that are not installed.
    """

    findings: tuple[Finding, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Tool:
    """A tool that judges Python.

    Attributes:
        name: What it is called, in its findings too.
        tables: Its tables in ``pyproject.toml``.
        files: Its own files of settings.
        modules: What it can be run as, best first.
        arguments: What it is told.
        read: What reads its findings.
    """

    name: str
    tables: tuple[str, ...]
    files: tuple[str, ...]
    modules: tuple[str, ...]
    arguments: Callable[[Path, Mapping[str, Any]], list[str]]
    read: Callable[[str], Iterator[Finding]]


def judge(project: Project) -> Verdict:
    """Runs what the project has set up, and looks whether it is formatted.

    Args:
        project: What to judge.

    Raises:
        Failure: A tool cannot do its work.
    """
    settings: Mapping[str, Any] = tomllib.loads((project.root / "pyproject.toml").read_text(encoding="utf-8"))
    tables: Mapping[str, Any] = settings.get("tool", {})
    missing: list[str] = []
    found: list[Finding] = []
    for tool in _TOOLS:
        named = [name for name in tool.tables if name in tables]
        if not named and not any((project.root / name).is_file() for name in tool.files):
            continue
        modules = [name for name in (*named, *tool.modules) if find_spec(name) is not None]
        if modules:
            found += _run(tool, modules[0], project.root, tables.get(named[0], {}) if named else {})
            found += _unformatted(project, ".py") if tool.name == "ruff" else ()
        else:
            missing.append(named[0] if named else tool.name)
    return Verdict((*found, *_unformatted(project, ".proto")), tuple(missing))


def _unformatted(project: Project, suffix: str) -> Iterator[Finding]:
    try:
        paths = format_project(project, write=False)
    except Failure:  # what cannot be read is told by others
        return
    for path in paths:
        if path.endswith(suffix):
            rule = "RUFF_FORMAT" if suffix == ".py" else "BUF_FORMAT"
            yield Finding(path, 0, 1, rule, "is not formatted: kratos format")


def whose(rule: str) -> str:
    """Returns whose a rule is that is none of ours."""
    return next((tool.name for tool in _TOOLS if rule.startswith(f"{tool.name.upper()}_")), "buf")


def _run(tool: _Tool, module: str, root: Path, table: Mapping[str, Any]) -> list[Finding]:
    command = [sys.executable, "-P", "-m", module, *tool.arguments(root, table)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603 - our own command line
    try:
        found = [_inside(each, root) for each in tool.read(done.stdout)]
    except (ValueError, LookupError, TypeError):
        found = []
    if done.returncode and not found:  # no verdict must not look like a good one
        words = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()][-_LAST_WORDS:]
        raise Failure("\n  ".join([f"{module} cannot judge the project:", *words]))
    return found


def _inside(finding: Finding, root: Path) -> Finding:
    path, base = (root / finding.path).resolve(), root.resolve()
    shown = path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)
    return Finding(shown, finding.line, finding.column, finding.rule, finding.message, finding.severity)


def _rule(tool: str, code: object) -> str:
    return f"{tool}_{re.sub(r'[^A-Z0-9]+', '_', str(code or 'error').upper())}"


def _ruff(text: str) -> Iterator[Finding]:
    for each in json.loads(text):
        place = each["location"]
        yield Finding(each["filename"], place["row"], place["column"], _rule("RUFF", each["code"]), each["message"])


def _mypy(text: str) -> Iterator[Finding]:
    for line in text.splitlines():
        each = json.loads(line)
        if each["severity"] == "error":
            column = max(each["column"], 0) + 1
            yield Finding(each["file"], max(each["line"], 0), column, _rule("MYPY", each["code"]), each["message"])


def _pyright(text: str) -> Iterator[Finding]:
    for each in json.loads(text)["generalDiagnostics"]:
        if each["severity"] in ("error", "warning"):
            start = each["range"]["start"] if "range" in each else {"line": -1, "character": 0}
            rule, said = _rule("PYRIGHT", each.get("rule")), " ".join(str(each["message"]).split())
            yield Finding(each["file"], start["line"] + 1, start["character"] + 1, rule, said, each["severity"])


def _mypy_arguments(root: Path, table: Mapping[str, Any]) -> list[str]:
    """Returns what mypy is told: all of the project, where its settings do not say what to judge."""
    said = {*table}
    for name in _MYPY_INI:
        parser = configparser.RawConfigParser(strict=False)
        if not said and parser.read(root / name, encoding="utf-8") and parser.has_section("mypy"):
            said |= set(parser.options("mypy"))
    return ["--output", "json", *([] if said & _MYPY_FILES else ["."])]


def _ruff_arguments(root: Path, table: Mapping[str, Any]) -> list[str]:  # noqa: ARG001 - as the others
    return ["check", "--output-format", "json", "--no-cache", "."]


def _pyright_arguments(root: Path, table: Mapping[str, Any]) -> list[str]:  # noqa: ARG001 - as the others
    return ["--outputjson", "--pythonpath", sys.executable]


_MYPY_INI: Final = ("mypy.ini", ".mypy.ini")
_TOOLS: Final[Sequence[_Tool]] = (
    _Tool("ruff", ("ruff",), ("ruff.toml", ".ruff.toml"), ("ruff",), _ruff_arguments, _ruff),
    _Tool("mypy", ("mypy",), _MYPY_INI, ("mypy",), _mypy_arguments, _mypy),
    _Tool(
        "pyright", ("basedpyright", "pyright"), ("pyrightconfig.json",), ("pyright", "basedpyright"),
        _pyright_arguments, _pyright,
    ),
)  # fmt: skip
