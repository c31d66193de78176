"""What has changed, as the commits of a repository say: offline, and all of them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kratos.tools.failure import USAGE, Failure

__all__ = ["GROUPS", "Change", "Changelog", "changelog", "markdown", "read"]

GROUPS: Final = (
    "Breaking Changes", "New Features", "Bug Fixes", "Performance", "Dependencies", "Builds", "Documentation", "Chores",
    "Others",
)  # fmt: skip
"""What changes are grouped by, in this order."""

_TYPES: Final = {
    "feat": "New Features", "feature": "New Features", "fix": "Bug Fixes", "perf": "Performance",
    "deps": "Dependencies", "build": "Builds", "ci": "Builds", "docs": "Documentation", "doc": "Documentation",
    "chore": "Chores", "refactor": "Chores", "style": "Chores", "test": "Chores", "tests": "Chores",
}  # fmt: skip
_SUBJECT = re.compile(r"(?P<type>[A-Za-z]+)(?:\((?P<scope>[^()]+)\))?(?P<bang>!)?:\s*(?P<text>.+)")
_BREAKING = re.compile(r"^BREAKING[ -]CHANGE:\s*", re.MULTILINE)
_UNIT, _RECORD = "\x1f", "\x1e"


@dataclass(frozen=True, slots=True)
class Change:
    """One commit.

    Attributes:
        group: One of ``GROUPS``.
        scope: What of the project it is about; empty if it does not say.
        text: What has changed.
        commit: Its short hash.
    """

    group: str
    scope: str
    text: str
    commit: str


@dataclass(frozen=True, slots=True)
class Changelog:
    """The changes from one version to another.

    Attributes:
        since: The version before, which has none of them; empty if they are all there are.
        until: The version that has them.
        date: When that was made, ``2026-01-31``.
        changes: The newest first.
    """

    since: str
    until: str
    date: str
    changes: tuple[Change, ...]


def changelog(folder: Path, *, until: str = "HEAD", since: str = "") -> Changelog:
    """Reads what has changed; merges are left out.

    Args:
        folder: A folder of the repository.
        until: The revision that has the changes.
        since: The revision before; the last tag before ``until`` if not given, and the beginning if there is none.

    Raises:
        Failure: There is no such revision, or no repository.
    """
    for revision in filter(None, (until, since)):
        if (
            revision.startswith("-")
            or _git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}") is None
        ):
            raise Failure(f"git does not know a revision {revision!r} in {folder}", hint="git tag", code=USAGE)
    since = since or _tag_before(folder, until)
    ends = f"{since}..{until}" if since else until
    said = _git(folder, "log", "--no-merges", f"--format=%h{_UNIT}%s{_UNIT}%b{_RECORD}", ends, "--") or ""
    date = (_git(folder, "log", "-1", "--format=%cs", until, "--") or "").strip()
    return Changelog(since, until, date, tuple(read(said.split(_RECORD))))


def _tag_before(folder: Path, until: str) -> str:
    tags = {*(_git(folder, "tag", "--points-at", until) or "").split()}
    # HEAD may be tagged itself: whoever asks for what it has means what came before.
    start = f"{until}^" if until in tags else until
    return (_git(folder, "describe", "--tags", "--abbrev=0", start) or "").strip()


def read(records: Iterable[str]) -> Iterator[Change]:
    """Yields what commits say: hash, subject and body of each, with a unit separator between them."""
    for record in records:
        commit, _, rest = record.strip("\n").partition(_UNIT)
        subject, _, body = rest.partition(_UNIT)
        if subject:
            yield _change(commit, subject, body)


def _change(commit: str, subject: str, body: str) -> Change:
    found = _SUBJECT.fullmatch(subject)
    kind = found["type"].lower() if found else ""
    if found is None or (kind not in _TYPES and not found["bang"]):
        return Change("Breaking Changes" if _BREAKING.search(body) else "Others", "", subject, commit)
    scope = found["scope"] or ""
    group = "Dependencies" if scope.lower() in ("deps", "deps-dev", "dependencies") else _TYPES.get(kind, "Others")
    if found["bang"] or _BREAKING.search(body):
        group = "Breaking Changes"
    return Change(group, scope, found["text"], commit)


def markdown(log: Changelog) -> str:
    """Returns a changelog as Markdown: a heading for the version, one for each group that has something."""
    title = "Unreleased" if log.until == "HEAD" else log.until
    lines = [f"## {title}{f' ({log.date})' if log.date else ''}"]
    for group in GROUPS:
        mine = [change for change in log.changes if change.group == group]
        if mine:
            lines += ["", f"### {group}", ""]
            lines += [f"- {f'**{each.scope}:** ' if each.scope else ''}{each.text} ({each.commit})" for each in mine]
    if not log.changes:
        lines += ["", f"Nothing has changed since {log.since}." if log.since else "Nothing has happened yet."]
    return "\n".join(lines)


def _git(folder: Path, *arguments: str) -> str | None:
    """Returns what git says, None if it says no."""
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and no revision that is an option
            ["git", *arguments], cwd=folder, capture_output=True, encoding="utf-8", errors="replace", check=False  # noqa: S607 - git is where PATH has it
        )  # fmt: skip
    except FileNotFoundError:
        raise Failure("git is not installed") from None
    return done.stdout if done.returncode == 0 else None
