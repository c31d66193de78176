"""What the tests of the generator share: a project to generate, and plugins to ask directly."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from protobuf.wkt import FileDescriptorSet
from protobuf.wkt.google.protobuf.compiler.plugin_pb import CodeGeneratorRequest, CodeGeneratorResponse

from kratos.tools.codegen.buf import executable
from kratos.tools.codegen.plugin import respond
from kratos.tools.codegen.project import Project
from kratos.tools.codegen.protos import stage

MakeProject = Callable[..., Project]
Generate = Callable[..., CodeGeneratorResponse]


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(dedent(text))


def image(folder: Path) -> FileDescriptorSet:
    """Returns the descriptors of a proto folder, with third-party imports and source locations."""
    stage(folder.parent / ".kratos" / "third_party", besides=[folder])
    modules = f'{{"version": "v2", "modules": [{{"path": "{folder.name}"}}, {{"path": ".kratos/third_party"}}]}}'
    command = [executable(), "build", "--as-file-descriptor-set", "--config", modules, "-o", "-"]
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return FileDescriptorSet.from_binary(done.stdout)


@pytest.fixture
def make_project(tmp_path: Path) -> MakeProject:
    """Makes a project of protos given as text, by their path in ``api``."""

    def make(files: Mapping[str, str], **settings: object) -> Project:
        write(tmp_path / "api", files)
        return Project(tmp_path, **{"out": "gen", **settings})  # type: ignore[arg-type]  # the tests know what they pass

    return make


@pytest.fixture
def ask(tmp_path: Path) -> Generate:
    """Has the plugin alone answer for protos given as text."""

    def generate(files: Mapping[str, str], parameter: str = "") -> CodeGeneratorResponse:
        write(tmp_path / "api", files)
        descriptors = image(tmp_path / "api")
        request = CodeGeneratorRequest(
            file_to_generate=list(files), parameter=parameter, proto_file=list(descriptors.file)
        )
        return CodeGeneratorResponse.from_binary(respond(request.to_binary()))

    return generate
