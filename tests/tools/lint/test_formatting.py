"""``kratos format``: protos by buf, Python by ruff, generated code by nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from kratos.tools.cli.root import run
from kratos.tools.codegen.project import Project, generate
from kratos.tools.lint import formatting
from kratos.tools.scaffold.names import Names
from kratos.tools.scaffold.project import fill, make
from kratos.tools.scaffold.template import LAYOUTS, Template
from kratos.tools.stubs.contract import draft

UGLY = 'syntax = "proto3";\npackage a.v1;\n   message A { string a=1; }\n'
NEAT = 'syntax = "proto3";\npackage a.v1;\nmessage A {\n  string a = 1;\n}\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "api/a/v1").mkdir(parents=True)
    (tmp_path / "api/a/v1/a.proto").write_text(UGLY)
    (tmp_path / "pyproject.toml").write_text('[tool.kratos]\nout = "app/gen"\n')
    (tmp_path / "main.py").write_text("x=1\n")
    monkeypatch.chdir(tmp_path)
    return Project.load(tmp_path)


def test_format(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not as it should be is listed and made so; a second time there is nothing to do."""
    generate(project)
    generated = {path: path.read_bytes() for path in (project.root / "app/gen").rglob("*.py")}
    assert run(["format", "--check"]) == 1
    assert capsys.readouterr() == ("api/a/v1/a.proto\nmain.py\n", "2 files would be formatted\n")
    assert (project.root / "main.py").read_text() == "x=1\n"
    assert run(["format"]) == 0
    assert (project.root / "api/a/v1/a.proto").read_text() == NEAT
    assert (project.root / "main.py").read_text() == "x = 1\n"
    assert {path: path.read_bytes() for path in generated} == generated
    capsys.readouterr()
    assert run(["format", "--check"]) == 0
    assert capsys.readouterr() == ("", "0 files would be formatted\n")


def test_broken(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be read is told with its place, and stays as it is."""
    (project.root / "api/a/v1/a.proto").write_text("nonsense\n")
    assert run(["format"]) == 1
    assert "api/a/v1/a.proto:1:1" in capsys.readouterr().err
    (project.root / "api/a/v1/a.proto").write_text(NEAT)
    (project.root / "main.py").write_text("def f(:\n")
    assert run(["format"]) == 1
    assert "ruff cannot format" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_without_ruff(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without ruff the protos are formatted, and it is said."""
    monkeypatch.setattr(formatting, "find_spec", lambda _: None)
    assert run(["format"]) == 0
    out, err = capsys.readouterr()
    assert out == "api/a/v1/a.proto\n"
    assert "ruff is not installed" in err


def test_generated_code_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Imports that are put in order change generated code, which follows: nothing has drifted afterwards."""
    root = fill(make(Names.of(str(tmp_path / "shop")), Template.built_in("layered"))).names.root
    proto = root / "api/helloworld/v1/greeter.proto"
    imports = [line for line in proto.read_text().splitlines() if line.startswith("import ")]
    more = 'import "google/protobuf/empty.proto";'
    text = proto.read_text().replace(imports[0], f"{more}\n{imports[0]}")
    proto.write_text(text + "\nmessage Nothing {\n  google.protobuf.Empty nothing = 1;\n}\n")
    project = Project.load(root)
    generate(project)
    monkeypatch.chdir(root)
    assert run(["format"]) == 0
    assert proto.read_text() != text
    assert not generate(project, write=False)
    assert run(["lint"]) == 0


def test_edited_code_stays(project: Project) -> None:
    """Generated code that somebody has edited is not overwritten by formatting: that is for them to do."""
    generate(project)
    edited = project.root / "app/gen/a/v1/a_pb.py"
    edited.write_text(f"{edited.read_text()}# edited\n")
    assert run(["format"]) == 0
    assert edited.read_text().endswith("# edited\n")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_new_projects(tmp_path: Path, layout: str) -> None:
    """New projects and drafted protos are formatted."""
    root = fill(make(Names.of(str(tmp_path / "shop")), Template.built_in(layout))).names.root
    (root / "api/order/v1").mkdir(parents=True)
    (root / "api/order/v1/order.proto").write_text(draft("order.v1", "order"))
    assert formatting.format_project(Project.load(root), write=False) == []
