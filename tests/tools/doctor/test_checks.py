"""What the doctor finds, each on a patient who has it."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

from kratos.service import CONTRACT
from kratos.tools.codegen.project import Project
from kratos.tools.doctor import checkup, installation, project, shadows
from kratos.tools.doctor.checks import checks
from kratos.tools.doctor.checkup import Finding

posix = pytest.mark.skipif(os.name == "nt", reason="executables without a suffix")


def states(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """Returns what the findings say, without their details; what is not well has advice."""
    found = list(findings)
    assert all(bool(each.advice) is (each.state != "ok") for each in found)
    return [(each.state, each.what) for each in found]


def only(findings: Iterable[Finding]) -> Finding:
    (found,) = findings
    return found


def program(folder: Path, content: bytes, name: str = "kratos") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    (folder / name).chmod(0o755)
    return folder / name


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10, 9), "bad"), ((3, 11, 0), "ok"), ((3, 13, 5), "ok"), ((3, 14, 0), "warn")]
)
def test_python(version: tuple[int, int, int], state: str) -> None:
    """Too old does not work, too new should."""
    assert states(installation.python(version)) == [(state, "Python"), ("ok", "kratos-py")]


def test_this_installation() -> None:
    """Where these tests run, everything is there."""
    assert {state for state, _ in states([*installation.python(), *installation.temporary()])} <= {"ok", "warn"}
    assert all(state == "ok" for state, _ in states(installation.requirements()))
    assert "click" in installation.distributions()


def test_requirements() -> None:
    """Missing ones, wrong versions, extras that nobody asked for, and those that are there by half."""
    installed = {"good": "1.5", "old": "1.0", "buf": "1", "half-a": "1"}

    def version_of(name: str) -> str:
        try:
            return installed[name]
        except KeyError:
            raise metadata.PackageNotFoundError(name) from None

    stated = [
        "good>=1,<2",
        "old>=1.1",
        "gone",
        "elsewhere; sys_platform != '" + sys.platform + "'",
        "buf; extra == 'tools'",
        "other>=1; extra == 'tools'",
        "never; extra == 'nats'",
        "half-a; extra == 'half'",
        "half-b; extra == 'half'",
        "kratos-py[nats]; extra == 'all'",
        "never; extra == 'all'",
    ]
    assert [(each.state, each.what, each.detail) for each in installation.requirements(stated, version_of)] == [
        ("bad", "old", "1.0, wanted is >=1.1"),
        ("bad", "libraries", "missing: gone"),
        ("warn", "extra half", "missing: half-b"),
        ("ok", "extra nats", "not installed"),
        ("bad", "extra tools", "missing: other"),
    ]


def test_no_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Temporary files need a folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert states(installation.temporary()) == [("bad", "temporary files")]


@posix
def test_our_program(tmp_path: Path) -> None:
    """Ours comes first: by its place, or by its interpreter, through a link or not."""
    ours = tmp_path / "a b" / "bin"
    path = program(ours, f"#!{ours / 'python'}\n".encode())
    assert only(shadows.first_program(str(ours), ours)).state == "ok"
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "kratos").symlink_to(path)
    assert only(shadows.first_program(str(tmp_path / "links"), ours)).state == "ok"
    program(tmp_path / "copies", f"#!{ours / 'python'}\nimport x\n".encode())
    assert only(shadows.first_program(str(tmp_path / "copies"), ours)).state == "ok"
    long = b"#!/bin/sh\n'''exec' \"" + os.fsencode(ours / "python") + b'" "$0" "$@"\n'
    program(tmp_path / "long", long)
    assert only(shadows.first_program(str(tmp_path / "long"), ours)).state == "ok"


@posix
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x7fELF\x02\x01", "a native program, not ours"),
        (b"\xcf\xfa\xed\xfe\x07", "a native program, not ours"),
        (b"#!/elsewhere/bin/python3\n", "with another Python"),
        (b"#!/bin/sh\necho hi\n", "is not ours"),
        (b"", "is not ours"),
    ],
)
def test_another_program(tmp_path: Path, content: bytes, said: str) -> None:
    """Another program of the name is known by its first bytes; it is not run."""
    ours = tmp_path / "venv" / "bin"
    program(ours, b"#!python\n")
    program(tmp_path / "first", content)
    found = only(shadows.first_program(os.pathsep.join([str(tmp_path / "first"), str(ours)]), ours))
    assert found.state == "warn"
    assert said in found.detail
    assert found.advice.endswith("-m kratos.tools.cli …")
    program(ours, b"#!python\n", "kratos-py")
    found = only(shadows.first_program(os.pathsep.join([str(tmp_path / "first"), str(ours)]), ours))
    assert found.advice == "kratos-py …"


@posix
def test_no_program(tmp_path: Path) -> None:
    """Nothing on PATH."""
    found = only(shadows.first_program(str(tmp_path), tmp_path / "bin"))
    assert found.state == "warn"
    assert "not on PATH" in found.detail


def test_names(tmp_path: Path) -> None:
    """A folder of Python files or a module of our name hides us; a folder of something else does not."""
    package = tmp_path / "site" / "kratos"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (tmp_path / "docs" / "kratos").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kratos").touch()
    fine = [tmp_path / name for name in ("site", "docs", "bin", "gone")]
    assert states(shadows.imported_names(fine, package)) == [("ok", "name kratos")]
    (tmp_path / "docs" / "kratos" / "x.py").touch()
    (tmp_path / "bin" / "kratos.py").touch()
    found = list(shadows.imported_names([*fine, *fine], package))
    assert [each.state for each in found] == ["bad", "bad"]
    assert str(tmp_path / "docs" / "kratos") in found[0].detail


def test_packages() -> None:
    """Another distribution that owns our import name has overwritten files, or will."""
    assert states(shadows.shared_packages({"kratos": ["kratos-py", "kratos-py"]})) == [("ok", "package kratos")]
    assert states(shadows.shared_packages({})) == [("ok", "package kratos")]
    found = only(shadows.shared_packages({"kratos": ["kratos-py", "kratos"]}))
    assert found.state == "bad"
    assert found.advice.startswith("pip uninstall kratos ")


def make(root: Path, files: dict[str, str], table: str = 'out = "gen"\n') -> Path:
    for name, text in {"pyproject.toml": f"[tool.kratos]\n{table}", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


PROTO = 'syntax = "proto3";\npackage shop.v1;\nmessage Thing {\n  string name = 1;\n}\n'


def test_table(tmp_path: Path) -> None:
    """No project, a wrong one, a right one."""
    assert only(project.table(tmp_path)).detail.startswith("none here")
    make(tmp_path, {"api/shop/v1/shop.proto": PROTO})
    assert only(project.table(tmp_path)).state == "ok"
    make(tmp_path, {}, "outt = 1\n")
    assert only(project.table(tmp_path)).state == "bad"
    (tmp_path / "pyproject.toml").write_text("[tool.kratos")
    assert only(project.table(tmp_path)).state == "bad"
    (tmp_path / "pyproject.toml").write_bytes(b"\xff")
    assert only(project.table(tmp_path)).state == "bad"
    assert [name for name, _ in checks(tmp_path)][-1] == "project"


def test_drift(demo: Project, tmp_path: Path) -> None:
    """Generated code that is right, changed by hand, missing, and protos that do not compile."""
    assert only(project.drift(demo)).state == "ok"
    root = make(tmp_path, {"api/shop/v1/shop.proto": PROTO})
    made = Project.load(root)
    found = only(project.drift(made))
    assert found.state == "bad"
    assert "gen/shop/v1/shop_pb.py" in found.detail
    assert found.advice == "kratos generate"
    assert not (root / "gen").exists()
    (root / "api/shop/v1/shop.proto").write_text(PROTO.replace("string", "strng"))
    found = only(project.drift(made))
    assert found.state == "bad"
    assert found.detail.startswith("api/shop/v1/shop.proto:4:3: ")


def test_contract(demo: Project, tmp_path: Path) -> None:
    """Generated code may expect more than this library has."""
    assert only(project.contracts(demo)).state == "ok"
    root = make(tmp_path, {"api/a.proto": "", "gen/a_kratos.py": f'require({CONTRACT + 1}, "a.proto")\n'})
    assert only(project.contracts(Project.load(root))).state == "bad"
    (root / "gen" / "a_kratos.py").unlink()
    assert list(project.contracts(Project.load(root))) == []


def test_proto_packages(demo: Project, tmp_path: Path) -> None:
    """Protos lie where their packages say; what a comment says does not count."""
    assert only(project.proto_packages(demo)).state == "ok"
    files = {
        "api/shop/v1/a.proto": "// package wrong;\n/* package wrong; */ package shop.v1 ;",
        "api/b.proto": "",
        "api/c.proto": "package c;",
        "api/x/d.proto": "// nothing",
        "api/y/e.proto": "package y;",
    }
    found = only(project.proto_packages(Project.load(make(tmp_path, files))))
    assert found.state == "warn"
    assert found.detail == "api/c.proto has package c; api/x/d.proto has no package"


def test_folders(demo: Project, tmp_path: Path) -> None:
    """A file where a folder should be is in the way of the generator."""
    assert {state for state, _ in states(project.writable_folders(demo))} == {"ok"}
    root = make(tmp_path, {"api/a.proto": "", ".kratos": ""})
    assert states(project.writable_folders(Project.load(root))) == [("bad", ".kratos"), ("ok", "gen")]


def test_ports() -> None:
    """Who has a port is said; a server that is none of ours is left alone."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        taken = f"http://127.0.0.1:{sock.getsockname()[1]}"
        found = list(project.ports([taken, "grpc://127.0.0.1:0", "queue"]))
    assert states(found) == [("warn", taken), ("ok", "grpc://127.0.0.1:0")]
    assert "listens there" in found[0].detail


APP = 'from kratos import App, HTTPServer\napp = App(name="x", servers=[HTTPServer("127.0.0.1:0")])\n'


@pytest.mark.parametrize(
    ("text", "state", "said"),
    [
        (APP, "ok", "sick_demo:app"),
        ("\n\n1 / 0\n", "bad", "sick_demo.py:3: ZeroDivisionError: division by zero"),
        ("def (\n", "bad", "sick_demo.py:1:"),
        ("import os\nos._exit(3)\n", "bad", "ends the process"),
        ("import sys\nsys.exit()\n", "bad", "ends the process"),
        (f"print('hi')\n{APP}", "warn", "prints to stdout"),
        ("import time\nwhile True: time.sleep(1)\n", "bad", "not loaded within 3 s"),
    ],
)
def test_app(tmp_path: Path, text: str, state: str, said: str) -> None:
    """An app is loaded in a process of its own, whatever it does there."""
    root = make(tmp_path, {"api/a.proto": "", "sick_demo.py": text}, 'out = "gen"\napp = "sick_demo:app"\n')
    found = next(project.loaded_app(Project.load(root), seconds=3 if "while" in text else 30))
    assert (found.state, said in found.detail) == (state, True), found
    assert "sick_demo" not in sys.modules


def test_no_app(tmp_path: Path) -> None:
    """Nobody says what to serve."""
    assert states(project.loaded_app(Project.load(make(tmp_path, {"api/a.proto": ""})))) == [("warn", "app")]


def test_checks_are_isolated() -> None:
    """A check that fails or hangs is a finding, and the others are made."""
    never = threading.Event()

    def fails() -> Iterator[Finding]:
        yield Finding("ok", "first")
        raise ValueError("odd\nthing")

    def hangs() -> Iterator[Finding]:
        never.wait()
        yield Finding("ok", "never")

    def works() -> Iterator[Finding]:
        yield Finding("ok", "works")

    found = list(checkup.run([("f", fails), ("h", hangs), ("w", works)], seconds=0.2))
    never.set()
    assert [(each.state, each.what) for each in found] == [("ok", "first"), ("bad", "f"), ("bad", "h"), ("ok", "works")]
    assert found[1].detail == "the check itself failed: ValueError: odd thing"
    assert found[2].detail == "no answer within 0.2 s"
