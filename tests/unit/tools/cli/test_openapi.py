"""``kratos openapi``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml
from commandline import Kratos

APP = """
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterService
from kratos.app import App

app = App(name="hello", version="1.2", services=[GreeterService()])
empty = App(name="empty")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an app, and nothing imported from it yet."""
    (tmp_path / "documented.py").write_text(APP, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "documented", raising=False)
    return tmp_path


def test_prints_json(kratos: Kratos, project: Path) -> None:
    """The document is on stdout, twice the same."""
    ran = kratos("openapi", "documented:app")
    assert (ran.code, ran.err) == (0, "")
    found = json.loads(ran.out)
    assert found["info"] == {"title": "hello", "version": "1.2"}
    assert "/helloworld/{name}" in found["paths"]
    assert kratos("openapi", "documented:app").out == ran.out


def test_prints_yaml(kratos: Kratos, project: Path) -> None:
    """YAML says the same."""
    told = kratos("openapi", "documented:app").out
    ran = kratos("openapi", "documented:app", "--format", "yaml")
    assert yaml.safe_load(ran.out) == json.loads(told)


@pytest.mark.parametrize(("name", "reads"), [("a.json", json.loads), ("ä b.yaml", yaml.safe_load)])
def test_writes_a_file(kratos: Kratos, project: Path, name: str, reads: object) -> None:
    """The file's name decides on the format; stdout stays empty."""
    ran = kratos("openapi", "documented:app", "-o", name)
    assert (ran.code, ran.out, ran.err) == (0, "", f"wrote {name}\n")
    text = (project / name).read_text(encoding="utf-8")
    assert callable(reads)
    assert reads(text)["openapi"] == "3.1.1"


def test_exact(kratos: Kratos, project: Path) -> None:
    """Exact schemas have ranges."""
    assert '"maximum": 2147483647' in kratos("openapi", "documented:app", "--exact").out
    assert '"maximum": 2147483647' not in kratos("openapi", "documented:app").out


def test_nothing_to_document(kratos: Kratos, project: Path) -> None:
    """An app without bindings gives a document, and a word about it."""
    ran = kratos("openapi", "documented:empty")
    assert ran.code == 0
    assert json.loads(ran.out)["paths"] == {}
    assert "no paths" in ran.err


def test_cannot_write(kratos: Kratos, project: Path) -> None:
    """A folder that is not there is named."""
    ran = kratos("openapi", "documented:app", "-o", project / "nowhere" / "a.json")
    assert ran.code == 1
    assert "nowhere" in ran.err


def test_wrong_usage(kratos: Kratos, project: Path) -> None:
    """No such app is wrong usage."""
    assert kratos("openapi", "documented:nobody").code == 2
    assert kratos("openapi", "documented:app", "--format", "xml").code == 2
