"""Another version of the contract: in git, or in a folder."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kratos.tools.codegen.project import Project
from kratos.tools.failure import Failure
from kratos.tools.lint.families import check

BEFORE = """\
syntax = "proto3";

package a.v1;

import "errors/errors.proto";
import "google/api/annotations.proto";

service Things {
  rpc Get(Thing) returns (Thing) {
    option (google.api.http) = {
      get: "/v1/things/{id}"
      additional_bindings {get: "/v1/thing/{id}"}
    };
  }
}

message Thing {
  string id = 1;
  string name = 2;
}

enum Reason {
  REASON_UNSPECIFIED = 0;
  THING_NOT_FOUND = 1 [(errors.code) = 404];
}
"""
AFTER = (
    BEFORE.replace('\n      additional_bindings {get: "/v1/thing/{id}"}', "")
    .replace("/v1/things/{id}", "/v1/things/{id=*}")
    .replace("  string name = 2;\n", "")
    .replace("404", "410")
)
FOUND = [(9, "KRP121"), (16, "FIELD_NO_DELETE"), (22, "KRP122")]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    write(tmp_path, BEFORE)
    return Project(tmp_path, out="gen")


def write(root: Path, text: str) -> None:
    path = root / "api/a/v1/a.proto"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def judged(project: Project, against: str) -> list[tuple[int, str]]:
    return [(each.line, each.rule) for each in check(project, against=against)]


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


def test_git(project: Project) -> None:
    """A revision is read from git: paths and codes that are gone are told besides what buf sees."""
    git(project.root, "init", "-b", "main")
    git(project.root, "add", "--all")
    git(project.root, "commit", "-m", "before")
    assert judged(project, "main") == []
    write(project.root, AFTER)
    assert judged(project, "main") == FOUND
    assert judged(project, "HEAD") == FOUND


def test_below_the_repository(tmp_path: Path) -> None:
    """The project may be a folder of the repository."""
    write(tmp_path / "services/a", BEFORE)
    git(tmp_path, "init", "-b", "main")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "-m", "before")
    write(tmp_path / "services/a", AFTER)
    assert judged(Project(tmp_path / "services/a", out="gen"), "main") == FOUND


@pytest.mark.parametrize("there", ["", "api"])
def test_folder(project: Project, tmp_path_factory: pytest.TempPathFactory, there: str) -> None:
    """A folder may hold the project, or its protos alone."""
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(project.root / there, other, dirs_exist_ok=True)
    write(project.root, AFTER)
    assert judged(project, str(other)) == FOUND


@pytest.mark.parametrize("against", ["nonsense", "--output=x"])
def test_nothing_there(project: Project, against: str) -> None:
    """What is neither is told."""
    git(project.root, "init", "-b", "main")
    with pytest.raises(Failure, match="neither a folder nor a revision") as failure:
        check(project, against=against)
    assert failure.value.code == 2


def test_empty_folder(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A folder without protos is no version."""
    with pytest.raises(Failure, match="there are no protos in"):
        check(project, against=str(tmp_path_factory.mktemp("empty")))


def test_does_not_compile(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A version that does not compile cannot be compared with."""
    other = tmp_path_factory.mktemp("other")
    write(other, BEFORE.replace("Thing)", "Nothing)"))
    with pytest.raises(Failure, match="do not compile"):
        check(project, against=str(other))
