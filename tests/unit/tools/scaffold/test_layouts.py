"""The layouts that come with kratos: what can be held about them without running them."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from kratos.app import Shutdown
from kratos.tools.codegen.project import Project
from kratos.tools.scaffold import template
from kratos.tools.scaffold.names import Names
from kratos.tools.scaffold.project import make
from kratos.tools.scaffold.template import LAYOUTS, Template
from kratos.version import __version__

TARGETS = {"init", "config", "api", "build", "generate", "all", "help", "lint", "test", "run", "docker", "clean"}


@pytest.fixture(params=LAYOUTS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A project of each layout, without its generated code."""
    return make(Names.of(str(tmp_path / "My-Shop")), Template.built_in(request.param)).names.root


def manifests(made: Path) -> dict[str, dict[str, Any]]:
    return {each["kind"]: each for each in yaml.safe_load_all((made / "deploy/kubernetes.yaml").read_text())}


def served(made: Path) -> set[int]:
    """Returns the ports that the project listens on."""
    config = made / "configs" / "config.yaml"
    text = (config if config.exists() else made / "my_shop" / "main.py").read_text()
    return {int(port) for port in re.findall(r":(\d{4})\b", text)}


def instructions(made: Path) -> list[tuple[str, str]]:
    text = (made / "Dockerfile").read_text().replace("\\\n", "")
    lines = [line.partition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in lines]


def test_contract_of_the_example() -> None:
    """A new project begins with the contract that the example and the README have."""
    home = Path(template.__file__).parents[1] / "templates" / "common" / "api"
    example = Path(__file__).parents[4] / "examples" / "helloworld" / "api"
    ours = {path.relative_to(home): path.read_text() for path in home.rglob("*.proto")}
    theirs = {path.relative_to(example): path.read_text() for path in example.rglob("*.proto")}
    assert len(ours) == 2
    assert ours == theirs


def test_everything_is_filled_in(made: Path) -> None:
    """No file has a template's marks left, and the text files end with one newline."""
    for path in made.rglob("*"):
        assert path.suffix != ".jinja"
        if path.is_file() and path.stat().st_size:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"(?<!\$){{|{%", text), path
            assert text.endswith("\n"), path
            assert not text.endswith("\n\n"), path
            assert "\n\n\n\n" not in text, path
            if path.suffix == ".py":
                ast.parse(text)


def test_settings(made: Path) -> None:
    """The project says what it was made of, and what it needs."""
    settings = tomllib.loads((made / "pyproject.toml").read_text())
    assert settings["project"]["name"] == "My-Shop"
    assert settings["project"]["dependencies"] == [f"kratos-py[otel]>={__version__}"]
    assert settings["tool"]["kratos"]["scaffold"]["version"] == __version__
    assert settings["tool"]["kratos"]["scaffold"]["layout"] in LAYOUTS
    assert settings["tool"]["mypy"]["strict"] is True
    assert settings["tool"]["pytest"]["ini_options"]["filterwarnings"] == ["error"]
    assert "per-file-ignores" not in settings["tool"]["ruff"]["lint"]
    project = Project.load(made)
    assert (project.out, project.app) == ("my_shop/gen", ("my_shop.main:app",))


def test_no_suppressions(made: Path) -> None:
    """What is made is clean without excuses."""
    for path in made.rglob("*.py"):
        assert not re.search(r"noqa|type: ignore|pyright:", path.read_text()), path


def test_makefile(made: Path) -> None:
    """The targets are those of Kratos' own layout, and more; each says what it does."""
    text = (made / "Makefile").read_text()
    assert set(re.findall(r"^([a-z]+):.*## \S", text, re.MULTILINE)) == TARGETS
    assert not re.search(r"^ {2,}\S", text, re.MULTILINE), "recipes begin with a tab"


def test_repository(made: Path) -> None:
    """Generated code is committed and marked as such; the state of the generator is not."""
    assert ".kratos/" in (made / ".gitignore").read_text().splitlines()
    assert not re.search(r"^[^#]*gen", (made / ".gitignore").read_text(), re.MULTILINE)
    assert "my_shop/gen/** linguist-generated=true" in (made / ".gitattributes").read_text()
    workflow = yaml.safe_load((made / ".github/workflows/ci.yml").read_text())
    assert workflow["jobs"]["check"]["strategy"]["matrix"]["python"] == ["3.11", "3.13"]


def test_image(made: Path) -> None:
    """The image is small, has no root, is asked whether it lives, and is open where the app listens."""
    steps = instructions(made)
    words = dict(steps)
    assert [rest for word, rest in steps if word == "FROM"] == ["python:3.13-slim AS build", "python:3.13-slim"]
    user, group = words["USER"].split(":")
    assert int(user) > 0 < int(group)
    assert {int(port) for port in words["EXPOSE"].split()} == served(made) == {8000, 9000, 9100}
    assert json.loads(words["CMD"]) == ["python", "-m", "my_shop"]
    python, dash, script = json.loads(words["HEALTHCHECK"].partition("CMD ")[2])
    assert (python, dash) == ("python", "-c")
    assert "'http://127.0.0.1:9100/healthz'" in script
    ast.parse(script)
    assert any(word == "ENV" and re.search(r"=0\.0\.0\.0\b", rest) for word, rest in steps)


def test_image_gets_what_it_copies(made: Path) -> None:
    """What the image is built from is there, and is not kept from the builder."""
    allowed = {line[1:] for line in (made / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for word, rest in instructions(made)
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert copied == allowed
    assert all((made / source).exists() for source in copied)


def test_pod(made: Path) -> None:
    """The pod has no root and no way to change itself, and is probed where clients cannot be in the way."""
    spec = manifests(made)["Deployment"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert spec["replicas"] == 2
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert (
        f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
        == dict(instructions(made))["USER"]
    )
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": 8000, "grpc": 9000, "admin": 9100}
    assert set(ports.values()) == served(made)
    assert spec["template"]["metadata"]["annotations"] == {"prometheus.io/scrape": "true", "prometheus.io/port": "9100"}
    for probe, path in {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}.items():
        assert container[probe]["httpGet"] == {"path": path, "port": "admin"}
    assert set(container["resources"]) == {"requests", "limits"}


def test_pod_is_given_time(made: Path) -> None:
    """It is killed only after all that stopping may take, one after the other."""
    pod = manifests(made)["Deployment"]["spec"]["template"]["spec"]
    command, seconds = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    limits = Shutdown()
    assert {field.name for field in fields(limits)} == {"deregister", "drain", "finish", "hook"}, (
        "say how long it takes"
    )
    # A server may take twice its limit and a second; the access log is closed, then the hook is left.
    longest = limits.deregister + limits.drain + 2 * limits.finish + 1 + 2 * limits.hook
    assert pod["terminationGracePeriodSeconds"] >= int(seconds) + longest


def test_service(made: Path) -> None:
    """Both ports are reached by name, and gRPC is known to be HTTP/2."""
    deployment, service = manifests(made)["Deployment"], manifests(made)["Service"]
    assert deployment["metadata"]["name"] == service["metadata"]["name"] == "my-shop"
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    ports = {port["name"]: (port["port"], port["targetPort"], port["appProtocol"]) for port in service["spec"]["ports"]}
    assert ports == {"http": (8000, "http", "http"), "grpc": (9000, "grpc", "kubernetes.io/h2c")}
