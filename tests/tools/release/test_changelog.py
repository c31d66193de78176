"""Changelogs from commits, in repositories of all kinds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from kratos.tools.cli.root import run
from kratos.tools.failure import Failure
from kratos.tools.release.changelog import changelog, markdown


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-b", "main")
    return tmp_path


def git(root: Path, *arguments: str) -> None:
    settings = ["user.name=a", "user.email=a@example.com", "commit.gpgsign=false", "tag.gpgsign=false"]
    options = [part for setting in settings for part in ("-c", setting)]
    subprocess.run(["git", *options, *arguments], cwd=root, check=True, capture_output=True)


def commit(root: Path, *messages: str) -> None:
    for message in messages:
        git(root, "commit", "--allow-empty", "-m", message)


@pytest.mark.parametrize(
    ("message", "group", "scope", "text"),
    [
        ("feat: orders", "New Features", "", "orders"),
        ("fix(http): a leak", "Bug Fixes", "http", "a leak"),
        ("feat(api)!: no more v1", "Breaking Changes", "api", "no more v1"),
        ("fix: it\n\nBREAKING CHANGE: the key is gone", "Breaking Changes", "", "it"),
        ("odd subject\n\nBREAKING CHANGE: the key is gone", "Breaking Changes", "", "odd subject"),
        ("build(deps): grpcio 1.85", "Dependencies", "deps", "grpcio 1.85"),
        ("perf: half the time", "Performance", "", "half the time"),
        ("ci: a job", "Builds", "", "a job"),
        ("docs: a page", "Documentation", "", "a page"),
        ("refactor: names", "Chores", "", "names"),
        ("Transport: less copying", "Others", "", "Transport: less copying"),
        ("Merge it by hand", "Others", "", "Merge it by hand"),
        ("wip!: x", "Breaking Changes", "", "x"),
    ],
)
def test_groups(repository: Path, message: str, group: str, scope: str, text: str) -> None:
    """Conventional commits have their groups, others are listed as they are."""
    commit(repository, message)
    (change,) = changelog(repository).changes
    assert (change.group, change.scope, change.text) == (group, scope, text)


def test_all_of_them(repository: Path) -> None:
    """There are no pages: the hundredth commit is as good as the first."""
    commit(repository, *(f"feat: number {number}" for number in range(100)))
    assert len(changelog(repository).changes) == 100


def test_since_the_last_tag(repository: Path) -> None:
    """What came after the last tag; of a tag what it brought; from any revision to any other."""
    commit(repository, "feat: one")
    git(repository, "tag", "v1.0.0")
    commit(repository, "feat: two")
    git(repository, "tag", "-a", "v1.1.0", "-m", "it")
    commit(repository, "fix: three")

    def texts(until: str = "HEAD", since: str = "") -> list[str]:
        return [change.text for change in changelog(repository, until=until, since=since).changes]

    assert texts() == ["three"]
    assert texts("v1.1.0") == ["two"]
    assert texts("v1.0.0") == ["one"]
    assert texts(since="v1.0.0") == ["three", "two"]
    assert changelog(repository).since == "v1.1.0"


def test_merges(repository: Path) -> None:
    """A merge says nothing new."""
    commit(repository, "feat: one")
    git(repository, "checkout", "-b", "side")
    commit(repository, "feat: two")
    git(repository, "checkout", "main")
    commit(repository, "feat: three")
    git(repository, "merge", "side", "-m", "Merge side")
    assert sorted(change.text for change in changelog(repository).changes) == ["one", "three", "two"]


def test_markdown(repository: Path) -> None:
    """Groups come in their order, empty ones not at all."""
    commit(repository, "fix: b", "feat(api): a", "feat!: c")
    text = markdown(changelog(repository))
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[0].startswith("## Unreleased (20")
    assert headings[1:] == ["### Breaking Changes", "### New Features", "### Bug Fixes"]
    assert "- **api:** a (" in text
    git(repository, "tag", "v1")
    assert "## v1 (" in markdown(changelog(repository, until="v1"))
    assert markdown(changelog(repository, since="v1")).endswith("Nothing has changed since v1.")


@pytest.mark.parametrize("revision", ["nonsense", "--output=x"])
def test_unknown(repository: Path, revision: str) -> None:
    """A revision that there is not is told."""
    commit(repository, "feat: one")
    with pytest.raises(Failure, match="does not know a revision") as failure:
        changelog(repository, until=revision)
    assert failure.value.code == 2


def test_command(repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """For people and for scripts."""
    commit(repository, "feat: one")
    monkeypatch.chdir(repository)
    assert run(["changelog"]) == 0
    assert "### New Features\n\n- one (" in capsys.readouterr().out
    assert run(["changelog", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changes"][0]["group"] == "New Features"
