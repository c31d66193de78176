"""Exceptions: in a line, in a file, in the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from kratos.tools.codegen.project import Project, ProjectError
from kratos.tools.lint.families import check
from kratos.tools.lint.settings import Settings


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "api").mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.kratos]\nout = "gen"\n')
    return Project(tmp_path, out="gen")


def judged(project: Project, text: str, name: str = "a.py") -> list[str]:
    (project.root / name).write_text(text)
    return [each.rule for each in check(project)]


@pytest.mark.parametrize(
    "text",
    [
        "def f(a=[]): ...  # kratos: ignore[KRY212] nobody changes it",
        "# kratos: ignore[KRY212] nobody changes it\n# it is read only\n\ndef f(a=[]): ...",
        "# kratos:ignore KRY212 nobody changes it\ndef f(a=[]): ...",
        "# kratos: ignore-file[KRY212]\n\nx = 1\ndef f(a=[]): ...\ndef g(a=[]): ...",
        "def f(a=[]): ...  # noqa: B006 # kratos: ignore[KRY211, KRY212]  # kratos: ignore[KRX902]",
    ],
)
def test_in_the_file(project: Project, text: str) -> None:
    """A comment excuses its line, the next one, or the file."""
    assert "KRY212" not in judged(project, text)


@pytest.mark.parametrize(
    "text",
    [
        "def f(a=[]): ...  // kratos:ignore KRY212",
        "def f(a=[]): ...\n# kratos: ignore[KRY212]\nx = 1",
        "def f(a=[]): ...  # ignore[KRY212]",
    ],
)
def test_not_there(project: Project, text: str) -> None:
    """Comments elsewhere, or of another kind, do not."""
    text = text.replace("  //", "  # //")
    assert "KRY212" in judged(project, text)


@pytest.mark.parametrize(
    "text",
    [
        'X = "# kratos: ignore-file[KRY212]"\n',
        '"""Excuse a line by\n\n# kratos: ignore-file[KRY212] reason\n"""\n',
        'X = f"""\n# kratos: ignore-file[KRY212]\n"""\n',
    ],
)
def test_in_a_text(project: Project, text: str) -> None:
    """What only looks like a comment excuses nothing, and is not told to be useless."""
    assert judged(project, f"{text}def f(a=[]): ...") == ["KRY212"]


def test_in_a_proto(project: Project) -> None:
    """Nor does one in a text of a proto."""
    (project.root / "api/a/v1").mkdir(parents=True)
    said = '"// kratos:ignore-file MESSAGE_PASCAL_CASE"'
    text = f'syntax = "proto3";\npackage a.v1;\nmessage a {{ string b = 1 [json_name = {said}]; }}\n'
    (project.root / "api/a/v1/a.proto").write_text(text)
    assert "MESSAGE_PASCAL_CASE" in [each.rule for each in check(project)]


def test_useless(project: Project) -> None:
    """An exception that excuses nothing is told, unless its rule is not looked for."""
    text = (
        "x = 1  # kratos: ignore[KRY212]\ny = 1  # kratos: ignore[KRP121]\nz = 1  # kratos: ignore[FIELD_NO_DELETE]\n"
    )
    assert judged(project, text) == ["KRX902"]
    assert [each.rule for each in check(project, Settings(ignore=("KRY",)))] == []


def test_buf_too(project: Project) -> None:
    """Rules of buf's are excused like ours."""
    (project.root / "api/a/v1").mkdir(parents=True)
    proto = project.root / "api/a/v1/a.proto"
    proto.write_text(
        'syntax = "proto3";\npackage a.v1;\n// kratos:ignore MESSAGE_PASCAL_CASE as it is stored\nmessage a {}\n'
    )
    assert check(project) == []


def test_settings(project: Project) -> None:
    """Longer ids win; patterns choose files; what is excluded is not even read."""
    text = "import logging\ndef f(a=[]): ...\nlogging.info(password)\n"
    assert judged(project, text) == ["KRY212", "KRY211"]

    def left(**settings: object) -> list[str]:
        return [each.rule for each in check(project, Settings(**settings))]  # type: ignore[arg-type]  # the tests know

    assert left(select=("KRY212",)) == ["KRY212"]
    assert left(ignore=("KRY",), select=("KRY211",)) == ["KRY211"]
    assert left(select=("KRY",), ignore=("KRY21",)) == []
    assert left(per_file={"*.py": ("KRY211",)}) == ["KRY212"]
    assert left(per_file={"b/**": ("KRY",)}) == ["KRY212", "KRY211"]
    assert left(exclude=("**/a.py",)) == []
    (project.root / "a.py").write_text("def f(:")
    assert left(exclude=("a.py",)) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('selects = ["KRY"]', "does not know selects"),
        ('select = ["kry"]', "select must be a list of ids"),
        ("schema = 1", "schema must be the full name of a message"),
        ('configs = "configs"', "configs must be a list of files"),
        ('per-file-ignores = {"a" = "KRY"}', "per-file-ignores must be patterns"),
    ],
)
def test_wrong_settings(project: Project, line: str, said: str) -> None:
    """What the table cannot say is told, with what it can."""
    (project.root / "pyproject.toml").write_text(f"[tool.kratos.lint]\n{line}\n")
    with pytest.raises(ProjectError, match=said):
        check(project)


def test_table(project: Project) -> None:
    """The generator does not mind the table."""
    (project.root / "pyproject.toml").write_text('[tool.kratos]\nout = "gen"\n[tool.kratos.lint]\nignore = ["KRY2"]\n')
    assert Project.load(project.root).out == "gen"
    assert Settings.load(project.root).ignore == ("KRY2",)
