"""Building wheels, by a backend that needs no network, and what keeps from it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from zipfile import ZipFile

import pytest

from kratos.tools.cli.root import run
from kratos.tools.codegen.project import Project, generate

BACKEND = '''\
"""Puts the package into a wheel, without what SKIPPED names."""
import pathlib, zipfile

def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "my_shop-1.2.0-py3-none-any.whl"
    info = "my_shop-1.2.0.dist-info"
    with zipfile.ZipFile(pathlib.Path(directory, name), "w") as wheel:
        for path in sorted(pathlib.Path("shop").rglob("*.py")):
            if SKIPPED not in path.parts:
                wheel.write(path, path.as_posix())
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: my-shop\\nVersion: 1.2.0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
'''
SETTINGS = """\
    [build-system]
    requires = []
    build-backend = "backend"
    backend-path = ["."]

    [project]
    name = "my-shop"
    version = "1.2.0"

    [tool.kratos]
    out = "shop/gen"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "api/a/v1").mkdir(parents=True)
    (tmp_path / "api/a/v1/a.proto").write_text('syntax = "proto3";\npackage a.v1;\nmessage A {}\n')
    (tmp_path / "pyproject.toml").write_text(dedent(SETTINGS))
    (tmp_path / "backend.py").write_text(BACKEND.replace("SKIPPED", "'nothing'"))
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/__init__.py").touch()
    project = Project.load(tmp_path)
    generate(project)
    monkeypatch.chdir(tmp_path)
    return project


def test_wheel(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """The wheel has the generated code and stands in dist."""
    assert run(["build"]) == 0
    assert capsys.readouterr().out.startswith("dist/my_shop-1.2.0-py3-none-any.whl: ")
    with ZipFile(project.root / "dist/my_shop-1.2.0-py3-none-any.whl") as wheel:
        assert "shop/gen/a/v1/a_pb.py" in wheel.namelist()
    assert run(["build", "--out", "elsewhere"]) == 0
    assert (project.root / "elsewhere/my_shop-1.2.0-py3-none-any.whl").is_file()


def test_generated_code_is_missing(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A wheel without generated code, as of a backend that leaves out what git ignores, is none."""
    (project.root / "backend.py").write_text(BACKEND.replace("SKIPPED", "'gen'"))
    assert run(["build"]) == 1
    assert "lacks generated code, shop/gen/a/v1/a_pb.py for one" in capsys.readouterr().err
    assert not (project.root / "dist").exists()


def test_drifted(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not generated anew is not shipped."""
    (project.root / "api/a/v1/a.proto").write_text('syntax = "proto3";\npackage a.v1;\nmessage B {}\n')
    assert run(["build"]) == 1
    said = capsys.readouterr().err
    assert "nothing was built" in said
    assert "kratos generate" in said


def test_backend_fails(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """What the backend says is told."""
    (project.root / "backend.py").write_text("def build_wheel(*args, **kwargs):\n    raise SystemError('no wheels')\n")
    assert run(["build"]) == 1
    assert "no wheels" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The image is built by what is there, called like the wheel; where nothing is, nothing is built."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    assert run(["build", "--image"]) == 1
    assert "docker, podman, nerdctl and buildah are not on PATH" in capsys.readouterr().err
    assert not (tmp_path / "dist").exists()
    podman = tools / "podman"
    podman.write_text('#!/bin/sh\necho "$@" > said\n')
    podman.chmod(0o755)
    assert run(["build", "--image"]) == 1
    assert "there is no Dockerfile" in capsys.readouterr().err
    (tmp_path / "Dockerfile").touch()
    assert run(["build", "--image"]) == 0
    assert capsys.readouterr().out.endswith("my-shop:1.2.0\n")
    assert (tmp_path / "said").read_text() == "build --tag my-shop:1.2.0 .\n"
    podman.write_text("#!/bin/sh\nexit 3\n")
    assert run(["build", "--tag", "x:1"]) == 1
    assert "podman cannot build x:1" in capsys.readouterr().err
