"""Upgrades: what the template has changed is taken over, what somebody has changed survives."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from kratos.tools.cli.root import run
from kratos.tools.scaffold.record import RECORD, Record
from kratos.version import __version__

SETTINGS = """\
[project]
name = "{{ name }}"
dependencies = ["kratos-py"]

[tool.kratos]
out = "{{ package }}/gen"

[tool.kratos.scaffold]
layout = "{{ layout }}"
version = "{{ kratos }}"
"""
PROTO = 'syntax = "proto3";\npackage a.v1;\nmessage A {}\n'
LINES = "".join(f"line {number}\n" for number in range(20))


class Desk:
    """A template, and a project that was made from it."""

    def __init__(self, folder: Path) -> None:
        self.template = folder / "template"
        self.project = folder / "my-shop"
        self.put("pyproject.toml.jinja", SETTINGS)
        self.put("api/a/v1/a.proto", PROTO)
        self.put("{{ package }}/main.py", LINES)
        self.put("README.md.jinja", "# {{ name }}\n")
        self.put("old.txt", "old\n")
        self.put("picture.bin", "\0")
        assert run(["new", str(self.project), "--template", str(self.template)]) == 0

    def put(self, name: str, text: str) -> None:
        path = self.template / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def edit(self, name: str, before: str, after: str) -> None:
        path = self.project / name
        path.write_text(path.read_text().replace(before, after))

    def upgrade(self, *options: str) -> int:
        return run(["upgrade", str(self.project), "--template", str(self.template), *options])

    def contents(self) -> dict[str, bytes]:
        files = (path for path in self.project.rglob("*") if path.is_file() and ".kratos" not in path.parts)
        return {path.relative_to(self.project).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    made = Desk(tmp_path)
    capsys.readouterr()
    return made


def test_nothing_to_do(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """A project that is up to date is told so, and edits of somebody are none of the template's business."""
    desk.edit("my_shop/main.py", "line 3\n", "mine\n")
    before = desk.contents()
    assert desk.upgrade() == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"the project is what kratos {__version__} would make of its template\n"
    assert desk.upgrade("--apply") == 0
    assert desk.contents() == before


def test_shown_first(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --apply there is a diff that can be reviewed, and nothing is written."""
    desk.put("README.md.jinja", "# {{ name }}\n\nMore.\n")
    desk.put("new.txt", "new\n")
    (desk.template / "old.txt").unlink()
    before = desk.contents()
    assert desk.upgrade() == 0
    said = capsys.readouterr()
    assert desk.contents() == before
    assert "--- a/README.md\n+++ b/README.md\n@@ -1 +1,3 @@\n # my-shop\n+\n+More.\n" in said.out
    assert "--- /dev/null\n+++ b/new.txt\n" in said.out
    assert "--- a/old.txt\n+++ /dev/null\n" in said.out
    assert "try: kratos upgrade --apply" in said.err


def test_the_diff_is_a_patch(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Git can apply what is shown, and that is what --apply does."""
    desk.put("{{ package }}/main.py", LINES.replace("line 18\n", "theirs\n"))
    desk.put("deep/new.txt", "new without an end")
    (desk.template / "old.txt").unlink()
    desk.put("api/a/v1/a.proto", PROTO + "message B {}\n")
    desk.put("api/b/v1/b.proto", PROTO.replace("a.v1", "b.v1"))
    desk.edit("my_shop/main.py", "line 3\n", "mine\n")
    desk.upgrade()
    patch = capsys.readouterr().out
    before = desk.contents()
    subprocess.run(["git", "apply", "-"], cwd=desk.project, input=patch, text=True, check=True)
    patched = desk.contents()
    for name in {*patched} - {*before}:
        (desk.project / name).unlink()
    for name, content in before.items():
        (desk.project / name).write_bytes(content)
    assert desk.upgrade("--apply") == 0
    after = desk.contents()
    assert after.pop(RECORD) != patched.pop(RECORD)
    assert after == patched


def test_both_have_changed(desk: Desk) -> None:
    """Changes in different places of a file are both in it; the next upgrade knows."""
    desk.put("{{ package }}/main.py", LINES.replace("line 18\n", "theirs\n"))
    desk.edit("my_shop/main.py", "line 3\n", "mine\n")
    assert desk.upgrade("--apply") == 0
    text = LINES.replace("line 3\n", "mine\n").replace("line 18\n", "theirs\n")
    assert (desk.project / "my_shop/main.py").read_text() == text
    before = desk.contents()
    assert desk.upgrade("--apply") == 0
    assert desk.contents() == before


def test_conflict(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Where both have changed the same, the file stays, the template's version is beside it, and that is a failure."""
    desk.put("{{ package }}/main.py", LINES.replace("line 3\n", "theirs\n"))
    desk.put("README.md.jinja", "# Better {{ name }}\n")
    desk.edit("my_shop/main.py", "line 3\n", "mine\n")
    assert desk.upgrade() == 0
    assert "+++ b/my_shop/main.py.new" in capsys.readouterr().out
    assert desk.upgrade("--apply") == 1
    assert (desk.project / "my_shop/main.py").read_text() == LINES.replace("line 3\n", "mine\n")
    assert (desk.project / "my_shop/main.py.new").read_text() == LINES.replace("line 3\n", "theirs\n")
    assert (desk.project / "README.md").read_text() == "# Better my-shop\n"
    assert "1 file to be merged by hand: compare FILE with FILE.new" in capsys.readouterr().err
    assert desk.upgrade("--apply") == 0, "it was told once"


def test_beside_is_taken(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """What is called FILE.new already is somebody's own; the template's version goes elsewhere, once."""
    desk.put("README.md.jinja", "# theirs\n")
    desk.edit("README.md", "# my-shop", "# mine")
    (desk.project / "README.md.new").write_text("my own draft\n")
    assert desk.upgrade() == 0
    assert "+++ b/README.md.new1\n" in capsys.readouterr().out
    assert desk.upgrade("--apply") == 1
    assert (desk.project / "README.md.new").read_text() == "my own draft\n"
    assert (desk.project / "README.md.new1").read_text() == "# theirs\n"
    assert "README.md stays as it is; the template's version is put beside it, " in capsys.readouterr().err


def test_in_the_way(desk: Desk) -> None:
    """A new file of the template does not replace one that is there already."""
    desk.put("notes.txt", "theirs\n")
    (desk.project / "notes.txt").write_text("mine\n")
    assert desk.upgrade("--apply") == 1
    assert (desk.project / "notes.txt").read_text() == "mine\n"
    assert (desk.project / "notes.txt.new").read_text() == "theirs\n"


def test_deleted(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """What somebody has deleted stays so; what the template has deleted goes, unless somebody has changed it."""
    desk.put("README.md.jinja", "# {{ name }}, changed\n")
    (desk.project / "README.md").unlink()
    (desk.template / "old.txt").unlink()
    (desk.template / "picture.bin").unlink()
    desk.edit("old.txt", "old", "mine")
    assert desk.upgrade("--apply") == 0
    assert not (desk.project / "README.md").exists()
    assert not (desk.project / "picture.bin").exists()
    assert (desk.project / "old.txt").read_text() == "mine\n"
    assert "old.txt the template has it no more, but you have changed it: it stays" in capsys.readouterr().err


def test_binary(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no text is not merged."""
    (desk.template / "picture.bin").write_bytes(b"\xff\x00theirs")
    (desk.project / "picture.bin").write_bytes(b"\xff\x00mine")
    assert desk.upgrade() == 0
    assert "Binary files differ: picture.bin.new\n" in capsys.readouterr().out
    assert desk.upgrade("--apply") == 1
    assert (desk.project / "picture.bin").read_bytes() == b"\xff\x00mine"


def test_programs(desk: Desk) -> None:
    """What can be executed in the template can be in the project."""
    desk.put("run.sh", "#!/bin/sh\n")
    (desk.template / "run.sh").chmod(0o755)
    assert desk.upgrade("--apply") == 0
    assert (desk.project / "run.sh").stat().st_mode & 0o111


def test_generated(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Code is generated anew; before that it is shown what would change, because of the template too."""
    desk.put("api/a/v1/a.proto", PROTO + "message B {}\n")
    assert desk.upgrade("--apply") == 0
    assert "class B(" in (desk.project / "my_shop/gen/a/v1/a_pb.py").read_text()
    generated = desk.project / "my_shop/gen/a/v1/a_pb.py"
    generated.write_text(generated.read_text() + "# edited\n")
    desk.put("api/a/v1/a.proto", PROTO + "message C {}\n")
    capsys.readouterr()
    before = desk.contents()
    assert desk.upgrade() == 0
    assert desk.contents() == before
    said = capsys.readouterr()
    assert "1 generated file would change besides" in said.err
    assert "--- a/my_shop/gen/a/v1/a_pb.py\n+++ b/my_shop/gen/a/v1/a_pb.py\n" in said.out
    assert "-# edited\n" in said.out
    assert "+class C(" in said.out


def test_cannot_be_generated(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """A template whose protos are wrong is told with the place in the project."""
    desk.put("api/a/v1/a.proto", PROTO + "message A {}\n")
    assert desk.upgrade() == 1
    assert "my-shop/api/a/v1/a.proto:3:9: " in capsys.readouterr().err


def test_record(desk: Desk) -> None:
    """A project remembers what it was made from, in a file with a line for each of its files."""
    record = Record.read(desk.project)
    assert (record.layout, record.version, record.name, record.package) == (
        "template",
        __version__,
        "my-shop",
        "my_shop",
    )
    assert record.files["README.md"] == b"# my-shop\n"
    assert "my_shop/gen/a/v1/a_pb.py" not in record.files
    lines = (desk.project / RECORD).read_text().splitlines()
    assert sum('README.md": "' in line for line in lines) == 1


def test_older_projects(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """A project without a record: nothing of it is replaced, all that differs is put beside, once."""
    (desk.project / RECORD).unlink()
    desk.put("README.md.jinja", "# {{ name }}, changed\n")
    desk.put("new.txt", "new\n")
    assert desk.upgrade() == 0
    assert "does not remember how its template looked" in capsys.readouterr().err
    assert desk.upgrade("--apply") == 1
    assert (desk.project / "README.md").read_text() == "# my-shop\n"
    assert (desk.project / "README.md.new").read_text() == "# my-shop, changed\n"
    assert desk.upgrade("--apply") == 0


def test_broken_record(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """A record that cannot be read is told, and nothing is guessed."""
    (desk.project / RECORD).write_text(json.dumps({"files": {"a": "not base64!"}}))
    assert desk.upgrade() == 1
    assert "take it from the history" in capsys.readouterr().err


def test_no_template(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """A template of somebody's own has to be named; a project that was not made from one has none."""
    assert run(["upgrade", str(desk.project)]) == 2
    assert "kratos upgrade --template PATH" in capsys.readouterr().err
    (desk.project / RECORD).unlink()
    (desk.project / "pyproject.toml").write_text('[tool.kratos]\nout = "gen"\n')
    assert run(["upgrade", str(desk.project)]) == 1
    assert "does not say what it was made from" in capsys.readouterr().err


def test_our_layouts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ours are found by themselves, an app that joined the project included."""
    assert run(["new", str(tmp_path / "shop"), "--layout", "layered"]) == 0
    assert run(["new", str(tmp_path / "shop" / "users")]) == 0
    capsys.readouterr()
    assert run(["upgrade", str(tmp_path / "shop")]) == 0
    assert capsys.readouterr().out == ""


def test_from_git(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A template in git is found again where it came from, on its branch."""
    template = tmp_path / "template"
    (template / "api/a/v1").mkdir(parents=True)
    (template / "pyproject.toml.jinja").write_text(SETTINGS)
    (template / "api/a/v1/a.proto").write_text(PROTO)

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=template, check=True, capture_output=True)

    git("init", "-b", "v2")
    git("add", "--all")
    git("commit", "-m", "it")
    git("branch", "main")
    project = tmp_path / "shop"
    assert run(["new", str(project), "--template", template.as_uri(), "--branch", "v2"]) == 0
    (template / "more.txt").write_text("more\n")
    git("add", "--all")
    git("commit", "-m", "more")
    assert run(["upgrade", str(project), "--apply"]) == 0
    capsys.readouterr()
    assert (project / "more.txt").read_text() == "more\n"
