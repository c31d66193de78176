"""``kratos lint``: its formats and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commandline import Kratos


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text('[tool.kratos]\nout = "app/gen"\n')
    write(tmp_path, "message a {}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(root: Path, text: str) -> None:
    path = root / "api" / "a" / "v1" / "a.proto"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'syntax = "proto3";\npackage a.v1;\n{text}\n')


def test_text(kratos: Kratos, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finding is a line on stdout, with its place as seen from here; findings are a failure."""
    monkeypatch.chdir(shop / "api")
    ran = kratos("lint")
    assert ran.code == 1
    assert ran.out.startswith("a/v1/a.proto:3:9: Message name ")
    assert ran.out.endswith("(MESSAGE_PASCAL_CASE)\n")
    assert ran.err == "1 finding\n"


def test_clean(kratos: Kratos, shop: Path) -> None:
    """Nothing wrong is exit code 0 and nothing on stdout."""
    write(shop, "message A {}")
    assert kratos("lint") == (0, "", "no findings\n")
    assert kratos("lint", "--json").out == "[]\n"
    assert kratos("lint", "--format", "github") == (0, "", "")


@pytest.mark.parametrize("arguments", [["--json"], ["--format", "json"]])
def test_json(kratos: Kratos, shop: Path, arguments: list[str]) -> None:
    """For scripts."""
    ran = kratos("lint", *arguments)
    assert ran.code == 1
    (found,) = json.loads(ran.out)
    assert found.pop("message").startswith("Message name")
    assert found == {"path": "api/a/v1/a.proto", "line": 3, "column": 9, "rule": "MESSAGE_PASCAL_CASE"}


def test_github(kratos: Kratos, shop: Path) -> None:
    """For annotations of a workflow; what would end a property is escaped."""
    path = shop / "api" / "b,c:d" / "v1" / "b.proto"
    path.parent.mkdir(parents=True)
    path.write_text('syntax = "proto3";\npackage b.v1;\n')
    first, *others = kratos("lint", "--format", "github").out.splitlines()
    assert first.startswith("::error file=api/a/v1/a.proto,line=3,col=9,title=MESSAGE_PASCAL_CASE::Message name")
    assert others[0].startswith("::error file=api/b%2Cc%3Ad/v1/b.proto,line=2,")


def test_does_not_compile(kratos: Kratos, shop: Path) -> None:
    """What does not compile is a finding too."""
    write(shop, "message A { Nope x = 1; }")
    ran = kratos("lint")
    assert ran.code == 1
    assert ran.out.startswith("api/a/v1/a.proto:3:13: ")
    assert ran.out.endswith("(COMPILE)\n")


def test_leaves_no_trace(kratos: Kratos, shop: Path) -> None:
    """A judgement changes nothing."""
    kratos("lint")
    assert {path.name for path in shop.iterdir()} == {"api", "pyproject.toml"}


def test_project(kratos: Kratos, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder may be given; outside of a project the way to one is told."""
    monkeypatch.chdir(shop.parent)
    assert kratos("lint", shop).code == 1
    ran = kratos("lint")
    assert ran.code == 2
    assert "is not in a project" in ran.err
