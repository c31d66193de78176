"""All rules, and the judgement of a project by them."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kratos.tools.codegen.buf import BufError
from kratos.tools.codegen.project import Project
from kratos.tools.codegen.survey import Survey
from kratos.tools.codegen.workspace import Workspace
from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.cache import keys as cache
from kratos.tools.lint.config import documents, unread
from kratos.tools.lint.config_family import RULES as CONFIG_RULES
from kratos.tools.lint.config_family import find as find_config
from kratos.tools.lint.proto import breaking
from kratos.tools.lint.proto.contract import Contract, opened
from kratos.tools.lint.proto_family import RULES as PROTO_RULES
from kratos.tools.lint.proto_family import find as find_proto
from kratos.tools.lint.python import drift, files
from kratos.tools.lint.python_family import RULES as PYTHON_RULES
from kratos.tools.lint.python_family import find as find_python
from kratos.tools.lint.settings import Settings
from kratos.tools.lint.suppression import RULES as EXCEPTION_RULES
from kratos.tools.lint.suppression import Exceptions

__all__ = ["COMPILE", "RULES", "check"]

COMPILE: Final = Rule(
    "COMPILE",
    "compile",
    "error",
    "The protos do not compile.",
    "No code can be generated from them.",
    "Correct what the message says.",
)
"""Stands for all that buf's compiler says."""

RULES: Final[Mapping[str, Rule]] = {
    rule.id: rule
    for rule in sorted(
        (
            COMPILE, *PROTO_RULES, *breaking.RULES, *drift.RULES, *PYTHON_RULES, *CONFIG_RULES, *cache.RULES,
            *EXCEPTION_RULES,
        ),
        key=lambda rule: (not rule.id.startswith("KR"), "PYCAX".find(rule.id[2]), rule.id),
    )
}  # fmt: skip
"""Our rules by their ids; those of buf come besides, under their own names."""


def check(project: Project, settings: Settings | None = None, *, against: str = "") -> list[Finding]:
    """Returns what breaks rules, by file and place.

    Args:
        project: What to judge.
        settings: Which rules count; what the project says if not given.
        against: A folder or a revision of git: what the contract must not break.

    Raises:
        Failure: The project cannot be judged.
    """
    settings = Settings.load(project.root) if settings is None else settings
    with _uncollected():
        return _checked(project, settings, against)


@contextmanager
def _uncollected() -> Generator[None]:
    """Does without the garbage collector: trees are many objects without circles, and looking takes longest."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _checked(project: Project, settings: Settings, against: str) -> list[Finding]:
    code = files.read(project, settings.excluded)
    found: list[Finding] = [*find_python(project, code), *cache.find(code.modules)]
    try:
        with opened(project) as contract:
            survey = contract.survey
            found += _contract(project, contract, against)
            read = documents.read(project.root, settings.configs, settings.schema, survey)
            found += map(contract.placed, unread.find(code.modules, read.schema, survey))
    except BufError as failure:
        if not all(each.path for each in failure.findings):
            raise
        survey = Survey()
        found += [COMPILE.at(each.path, each.line, each.column, each.message) for each in failure.findings]
    else:
        found += find_config(read, survey, code.modules)
    return sorted(_counted(found, project, settings, code, breaks=bool(against)))


def _contract(project: Project, contract: Contract, against: str) -> Iterator[Finding]:
    found = list(find_proto(contract))
    yield from found
    told = {(each.path, each.line) for each in found}
    # Whoever knows better why code cannot be generated has said so.
    yield from (
        each for each in drift.find(project) if each.rule == drift.DRIFT.id or (each.path, each.line) not in told
    )
    if against:
        yield from breaking.find(project, contract, against)


def _counted(
    found: list[Finding], project: Project, settings: Settings, code: files.Code, *, breaks: bool
) -> Iterator[Finding]:
    """Yields what is not excused, and exceptions that excuse nothing."""
    exceptions = Exceptions({**code.texts, **_texts(project, settings)}, RULES)
    for each in dict.fromkeys(found):
        if settings.counts(each.rule, each.path) and not exceptions.excuses(each):
            yield each
    left_out = {rule.id for rule in breaking.RULES} if not breaks else set[str]()
    judged = {rule for rule in RULES if rule not in left_out and settings.counts(rule, "")}
    yield from (each for each in exceptions.strange(judged) if settings.counts(each.rule, each.path))


def _texts(project: Project, settings: Settings) -> dict[str, str]:
    """Returns the protos and the configuration of a project, which may have exceptions in them."""
    workspace = Workspace(project.root, project.protos)
    paths = [f"{folder}/{path}" for folder in project.protos for path in workspace.files(folder)]
    for place in settings.configs:
        folder = project.root / place
        inside = sorted(folder.iterdir()) if folder.is_dir() else [folder]
        paths += [
            each.relative_to(project.root).as_posix() for each in inside if each.suffix in (".yaml", ".yml", ".toml")
        ]
    return {path: text for path in paths if (text := _text(project.root / path))}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
