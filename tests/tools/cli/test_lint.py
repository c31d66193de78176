"""``kratos lint``: its formats and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commandline import Kratos

from kratos.tools.lint import others


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
    assert found == {
        "path": "api/a/v1/a.proto",
        "line": 3,
        "column": 9,
        "rule": "MESSAGE_PASCAL_CASE",
        "severity": "error",
        "fixable": False,
    }


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


def test_sarif(kratos: Kratos, shop: Path) -> None:
    """For code hosts: one run, its rules, and results that point at both."""
    (shop / "app.py").write_text("def f(a=[]): ...\n")
    ran = kratos("lint", "--format", "sarif")
    assert ran.code == 1
    log = json.loads(ran.out)
    assert (log["version"], log["$schema"].rpartition("/")[2]) == ("2.1.0", "sarif-2.1.0.json")
    (only,) = log["runs"]
    rules = only["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["KRY212", "MESSAGE_PASCAL_CASE"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in only["results"])
    assert all(rule["shortDescription"]["text"] for rule in rules)
    first, second = (result["locations"][0]["physicalLocation"] for result in only["results"])
    assert first == {
        "artifactLocation": {"uri": "api/a/v1/a.proto"},
        "region": {"startLine": 3, "startColumn": 9},
    }
    assert second["artifactLocation"] == {"uri": "app.py"}
    assert {result["level"] for result in only["results"]} == {"error"}
    write(shop, "message A {}")
    (shop / "app.py").unlink()
    assert json.loads(kratos("lint", "--format", "sarif").out)["runs"][0]["results"] == []


TOOLS = """\
[tool.ruff.lint]
select = ["F"]
[tool.mypy]
[tool.pyright]
include = ["app.py"]
"""


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_all(kratos: Kratos, shop: Path, form: str) -> None:
    """One command has the verdict of all tools that the project has set up, and on its style."""
    write(shop, "message A {}")
    (shop / "app.py").write_text('import os\n\n\ndef f(a: int, b=[]) -> int:\n    return "x"\n')
    (shop / "ugly.py").write_text("x=1\n")
    table = shop / "pyproject.toml"
    table.write_text(table.read_text() + TOOLS)
    assert "RUFF" not in kratos("lint").out
    ran = kratos("lint", "--all", "--format", form)
    assert ran.code == 1
    if form == "json":
        found = [(each["path"], each["line"], each["rule"]) for each in json.loads(ran.out)]
        assert set(found) >= {
            ("app.py", 4, "KRY212"),
            ("app.py", 1, "RUFF_F401"),
            ("app.py", 5, "MYPY_RETURN_VALUE"),
            ("app.py", 5, "PYRIGHT_REPORTRETURNTYPE"),
            ("ugly.py", 0, "RUFF_FORMAT"),
        }
        (left,) = json.loads(kratos("lint", "--all", "--select", "RUFF", "--ignore", "RUFF_FORMAT", "--json").out)
        assert (left["rule"], left["column"]) == ("RUFF_F401", 8)
    else:
        rules = json.loads(ran.out)["runs"][0]["tool"]["driver"]["rules"]
        assert "mypy's rule MYPY_RETURN_VALUE" in {rule["shortDescription"]["text"] for rule in rules}


def test_all_is_well(kratos: Kratos, shop: Path) -> None:
    """What is not set up is not run, and what is set up and finds nothing is no finding."""
    write(shop, "message A {}")
    (shop / "app.py").write_text('x: int = "one"\n')
    (shop / "ugly.py").write_text("x=1\n")
    assert kratos("lint", "--all") == (0, "", "no findings\n")
    (shop / "mypy.ini").write_text("[mypy]\nfiles = other.py\n")
    (shop / "other.py").write_text("")
    assert kratos("lint", "--all") == (0, "", "no findings\n")
    (shop / "mypy.ini").write_text("[mypy]\nstrict = True\n")
    assert "app.py:1:10: Incompatible types" in kratos("lint", "--all").out


def test_all_is_not_there(kratos: Kratos, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that is set up and missing is told; one that cannot work is a failure."""
    write(shop, "message A {}")
    table = shop / "pyproject.toml"
    before = table.read_text()
    table.write_text(f"{before}[tool.mypy]\n")
    monkeypatch.setattr(others, "find_spec", lambda _: None)
    ran = kratos("lint", "--all")
    assert ran.code == 0
    assert "mypy is set up in the project, and was not run: it is not installed (pip install mypy)" in ran.err
    monkeypatch.undo()
    monkeypatch.chdir(shop)
    table.write_text(f'{before}[tool.ruff]\ntarget-version = "py1"\n')
    assert "ruff cannot judge the project" in kratos("lint", "--all").err
    table.write_text(before)
    (shop / "app.py").write_text("def f(:\n")
    assert "KRY200" in kratos("lint", "--all").out


def test_warnings(kratos: Kratos, shop: Path) -> None:
    """A warning is told and is no failure, unless it was asked to be one."""
    write(shop, "message A {}")
    (shop / "app.py").write_text("import logging\nlogging.info(f'{password}')\n")
    ran = kratos("lint")
    assert (ran.code, ran.out) == (0, "app.py:2:1: warning: the log line shows password (KRY211)\n")
    assert ran.err == "1 finding\nkratos lint --explain KRY211 says more\n"
    assert kratos("lint", "--strict").code == 1
    assert kratos("lint", "--format", "github").out.startswith("::warning file=app.py,line=2,col=1,title=KRY211::")


def test_choice(kratos: Kratos, shop: Path) -> None:
    """Rules are chosen by their ids, and by the beginnings of these."""
    (shop / "app.py").write_text("def f(a=[]): ...\n")
    assert "KRY212" not in kratos("lint", "--ignore", "KRY").out
    only = kratos("lint", "--select", "KRY2,KRC").out
    assert "KRY212" in only
    assert "MESSAGE" not in only
    assert kratos("lint", "--select", "KRP", "--ignore", "KRY").code == 0


def test_settings(kratos: Kratos, shop: Path) -> None:
    """The project says which rules count; what it says wrongly is told."""
    table = shop / "pyproject.toml"
    before = table.read_text()
    table.write_text(f'{before}[tool.kratos.lint]\nignore = ["MESSAGE_PASCAL_CASE"]\n')
    assert kratos("lint").code == 0
    table.write_text(f'{before}[tool.kratos.lint]\nignored = ["MESSAGE_PASCAL_CASE"]\n')
    ran = kratos("lint")
    assert ran.code == 1
    assert "does not know ignored; it knows select, ignore, per-file-ignores" in ran.err
    table.write_text(f'{before}[tool.kratos.lint]\nselect = "KRY"\n')
    assert "select must be a list of ids, not 'KRY'" in kratos("lint").err


def test_explained(kratos: Kratos) -> None:
    """Each rule says what it finds, why, and what to do; a wrong name is answered."""
    ran = kratos("lint", "--explain", "kry203")
    assert ran.code == 0
    assert ran.out.startswith("KRY203 blocking-call, error, can be fixed by --fix\nWhat: ")
    assert kratos("lint", "--explain", "blocking-call").out == ran.out
    wrong = kratos("lint", "--explain", "KRY999")
    assert wrong.code == 2
    assert "kratos lint --rules" in wrong.err
    assert "KRA402 error   missing-expiry: " in kratos("lint", "--rules").out


def test_fixed(kratos: Kratos, shop: Path) -> None:
    """What can be put right safely is, and what is left is told."""
    write(shop, "message A {}")
    (shop / "app.py").write_text("import time\n\n\nasync def f(a=[]):\n    time.sleep(1)\n")
    ran = kratos("lint", "--fix")
    assert ran.code == 1
    assert "KRY212" in ran.out
    assert "KRY203" not in ran.out
    assert ran.err.startswith("1 finding put right\n")
    assert (shop / "app.py").read_text() == (
        "import asyncio\nimport time\n\n\nasync def f(a=[]):\n    await asyncio.sleep(1)\n"
    )
    assert "nothing that can be put right" in kratos("lint", "--fix").err
