"""How buf is driven: what it says becomes findings, and what is missing is explained."""

from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from kratos.tools.codegen import buf, protos
from kratos.tools.codegen.plugin import respond
from kratos.tools.failure import Failure

from .conftest import MakeProject


def missing(name: str) -> None:
    raise PackageNotFoundError(name)


def answer(text: str) -> object:
    return lambda *_args, **_settings: subprocess.CompletedProcess([], 1, b"", text.encode())


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("", ["buf failed without a word"]),
        ("Failure: no space left\n", ["no space left"]),
        ('{"path":"a.proto","start_line":2,"start_column":3,"message":"no"}\n', ["a.proto:2:3: no"]),
        ('{"message":"no place"}\n', ["no place"]),
        (
            "a.proto:1:2: one\nb.proto:3:4: two\nsignal: killed\ncontext canceled\n",
            ["a.proto:1:2: one", "b.proto:3:4: two"],
        ),
    ],
)
def test_findings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, expected: list[str]) -> None:
    """buf's JSON, its plain sentences and a plugin's lines all become findings."""
    monkeypatch.setattr(subprocess, "run", answer(said))
    with pytest.raises(buf.BufError) as failure:
        buf.generate(tmp_path, ["protos"], [])
    assert [str(finding) for finding in failure.value.findings] == expected
    assert str(failure.value) == "\n".join(expected)


def test_buf_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its wheel, buf is looked for on PATH; without that, the way to get it is said."""
    monkeypatch.setattr(buf, "distribution", missing)
    monkeypatch.setattr(buf.shutil, "which", lambda name: f"/somewhere/{name}")
    assert buf.executable() == "/somewhere/buf"
    monkeypatch.setattr(buf.shutil, "which", lambda name: None)
    with pytest.raises(Failure, match="buf is missing") as failure:
        buf.executable()
    assert failure.value.hint == 'pip install "kratos-py[tools]"'


def test_google_protos_are_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without google's wheel, the way to get it is said."""
    monkeypatch.setattr(protos, "distribution", missing)
    with pytest.raises(Failure, match="googleapis-common-protos") as failure:
        protos.stage(tmp_path)
    assert failure.value.hint == 'pip install "kratos-py[tools]"'


def test_staging_is_exact(tmp_path: Path) -> None:
    """What does not belong to the staged protos goes."""
    (tmp_path / "old.proto").touch()
    protos.stage(tmp_path)
    assert not (tmp_path / "old.proto").exists()
    assert (tmp_path / "errors" / "errors.proto").exists()
    assert (tmp_path / "google" / "api" / "annotations.proto").exists()
    assert not (tmp_path / "etcd").exists()  # what only a driver of ours speaks: a project may have its own


def test_defects_keep_their_traceback(monkeypatch: pytest.MonkeyPatch, make_project: MakeProject) -> None:
    """A failure that is ours says so and shows where."""
    monkeypatch.setattr("kratos.tools.codegen.plugin.check_files", lambda *_args: 1 / 0)
    error = respond(b"").decode(errors="replace")
    assert "this is a defect of protoc-gen-kratos" in error
    assert "ZeroDivisionError" in error
