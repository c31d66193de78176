"""``kratos generate``: what it says, where, and how it ends."""

from __future__ import annotations

import io
import json
import sys
import threading
from pathlib import Path

import pytest
from commandline import Kratos

from kratos.tools.cli import progress as ticking
from kratos.tools.cli.places import counted, place, seen_from_here

A = 'syntax = "proto3";\npackage a.v1;\nmessage A { string name = 1; }\n'


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text('[tool.kratos]\nout = "app/gen"\n')
    (tmp_path / "api" / "a" / "v1").mkdir(parents=True)
    (tmp_path / "api" / "a" / "v1" / "a.proto").write_text(A)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_generates(kratos: Kratos, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result is on stdout: what was written, relative to the project, and how long it took."""
    monkeypatch.chdir(shop / "api" / "a")
    ran = kratos("generate")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("  + app/gen/__init__.py\n  + app/gen/a/__init__.py\n")
    assert ran.out.splitlines()[-1].startswith("generated 4 files, removed 0, 0 unchanged in ")
    assert kratos("generate").out.startswith("generated 0 files, removed 0, 4 unchanged in ")


def test_from_elsewhere(kratos: Kratos, shop: Path, tmp_path_factory: pytest.TempPathFactory,
                        monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """A folder may be given, the project's or one in it."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert "generated 4 files" in kratos("generate", shop).out
    assert "4 unchanged" in kratos("generate", shop / "api").out


@pytest.mark.parametrize(
    ("folder", "words"), [("none", "there is no folder none"), ("..", "pyproject.toml is missing")]
)
def test_no_project(kratos: Kratos, shop: Path, folder: str, words: str) -> None:
    """What is no project is told."""
    ran = kratos("generate", folder)
    assert ran.code in (1, 2)
    assert words in ran.err


def test_long_lists(kratos: Kratos, shop: Path) -> None:
    """A long list is cut."""
    for name in "bcdefgh":
        path = shop / "api" / name / "v1" / "x.proto"
        path.parent.mkdir(parents=True)
        path.write_text(f'syntax = "proto3"; package {name}.v1;')
    lines = kratos("generate").out.splitlines()
    assert len(lines) == 12
    assert lines[-2] == "  … and 15 more"


def test_changes(kratos: Kratos, shop: Path) -> None:
    """Changed and removed files are listed; without changes nothing is compiled unless forced."""
    kratos("generate")
    (shop / "api" / "a" / "v1" / "a.proto").rename(shop / "api" / "a" / "v1" / "b.proto")
    ran = kratos("generate")
    assert ran.out.splitlines()[:2] == ["  + app/gen/a/v1/b_pb.py", "  - app/gen/a/v1/a_pb.py"]
    assert "generated 1 file, removed 1, 3 unchanged in" in ran.out
    assert "generated 0 files, removed 0, 4 unchanged in" in kratos("generate", "--force").out


def test_check(kratos: Kratos, shop: Path) -> None:
    """``--check`` writes nothing and fails if something would change."""
    ran = kratos("generate", "--check")
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.splitlines()[-1] == "would generate 4 files, remove 0; 0 unchanged"
    assert {path.name for path in shop.iterdir()} == {"api", "pyproject.toml"}
    kratos("generate")
    ran = kratos("generate", "--check")
    assert (ran.code, ran.out) == (0, "would generate 0 files, remove 0; 4 unchanged\n")


def test_json(kratos: Kratos, shop: Path) -> None:
    """For scripts: one document, whatever happens."""
    checked = kratos("generate", "--check", "--json")
    ran = kratos("generate", "--json")
    assert (checked.code, ran.code) == (1, 0)
    assert json.loads(checked.out) == json.loads(ran.out)
    assert json.loads(ran.out) == {
        "written": ["app/gen/__init__.py", "app/gen/a/__init__.py", "app/gen/a/v1/__init__.py", "app/gen/a/v1/a_pb.py"],
        "removed": [],
        "unchanged": 0,
        "findings": [],
    }
    (shop / "api" / "a" / "v1" / "a.proto").write_text(A.replace("string", "strin"))
    ran = kratos("generate", "--json")
    assert ran.code == 1
    (found,) = json.loads(ran.out)["findings"]
    assert (found["path"], found["line"], found["column"]) == ("api/a/v1/a.proto", 3, 13)
    assert "strin" in found["message"]


def test_findings(kratos: Kratos, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong has its place as seen from here, then a count; nothing is written."""
    (shop / "api" / "a" / "v1" / "a.proto").write_text(A.replace("string", "strin") + "message B { intt x = 1; }\n")
    monkeypatch.chdir(shop / "api")
    ran = kratos("generate")
    assert (ran.code, ran.out) == (1, "")
    first, second, last = ran.err.splitlines()
    assert first.startswith("a/v1/a.proto:3:13: ")
    assert second.startswith("a/v1/a.proto:4:13: ")
    assert last == "error: 2 problems in the protos; nothing was written"
    assert not (shop / "app").exists()


def test_imports(kratos: Kratos, shop: Path) -> None:
    """A missing import comes with where imports are looked for."""
    (shop / "api" / "a" / "v1" / "a.proto").write_text(A.replace("message", 'import "x/y.proto";\nmessage', 1))
    ran = kratos("generate")
    first, second, last = ran.err.splitlines()
    assert first == 'api/a/v1/a.proto:3:1: there is no "x/y.proto" to import'
    assert second.startswith("imports start in api; besides, there are buf/validate, errors, google/api,")
    assert last == "error: 1 problem in the protos; nothing was written"


class Terminal(io.StringIO):
    """A terminal that remembers, and tells when something is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = threading.Event()

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        self.drawn.set()


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, what takes long has a line, which is gone at the end; what is quick has none."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with ticking.progress("generating"):
        pass
    assert terminal.getvalue() == ""
    monkeypatch.setattr(ticking, "_PATIENCE", 0)
    with ticking.progress("generating"):
        assert terminal.drawn.wait(10)
    assert "generating … 0." in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_no_progress_in_a_pipe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is drawn where nobody looks."""
    monkeypatch.setattr(ticking, "_PATIENCE", 0)
    before = set(threading.enumerate())  # other tests may have left some that are about to end
    with ticking.progress("generating"):
        assert set(threading.enumerate()) <= before
    assert capsys.readouterr() == ("", "")


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are as one would type them, numbers have the right noun."""
    monkeypatch.chdir(tmp_path)
    assert seen_from_here(tmp_path / "a" / "b") == str(Path("a", "b"))
    assert (place("a", 1, 2), place("a", 0, 0), place("", 0, 0)) == ("a:1:2", "a", "")
    assert [counted(0, "file"), counted(1, "file"), counted(2, "entry", "entries")] == [
        "0 files",
        "1 file",
        "2 entries",
    ]
