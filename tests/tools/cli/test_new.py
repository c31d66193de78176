"""``kratos new``: what it takes, what it prints, and what it leaves."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import Kratos


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    folder = tmp_path / "my desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A template with nothing to generate."""
    folder = tmp_path / "template"
    folder.mkdir()
    (folder / "README.md.jinja").write_text("{{ name }}\n")
    return folder


@pytest.mark.parametrize("layout", ["simple", "layered"])
def test_layouts(kratos: Kratos, desk: Path, layout: str) -> None:
    """A project comes with its generated code; what to do next is said."""
    ran = kratos("new", "my-shop", "--layout", layout)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"made my-shop, {layout}: ")
    assert ran.out.endswith(
        "next:\n  cd my-shop\n  kratos run --reload\n  curl localhost:8000/helloworld/kratos\n  pytest\n"
    )
    assert max(map(len, ran.out.splitlines())) <= 80
    assert (desk / "my-shop/my_shop/gen/helloworld/v1/greeter_kratos.py").is_file()
    assert (desk / "my-shop/my_shop/internal").exists() == (layout == "layered")
    assert os.listdir(desk) == ["my-shop"]


def test_json(kratos: Kratos, desk: Path) -> None:
    """Scripts get where it is and all that is in it."""
    ran = kratos("new", "deep/my-shop", "--json")
    said = json.loads(ran.out)
    files = said.pop("files")
    assert said == {"path": str(desk / "deep/my-shop"), "package": "my_shop", "layout": "simple"}
    there = {
        path.relative_to(said["path"]).as_posix()
        for path in (desk / "deep/my-shop").rglob("*")
        if path.is_file() and ".kratos" not in path.parts
    }
    assert files == sorted(files)
    assert there - {*files} <= {"my_shop/gen/py.typed"}
    assert {*files} <= there


def test_here(kratos: Kratos, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder can become a project from within."""
    (desk / "shop").mkdir()
    monkeypatch.chdir(desk / "shop")
    ran = kratos("new", ".")
    assert ran.code == 0
    assert "next:\n  kratos run" in ran.out
    assert (desk / "shop/shop/main.py").is_file()


@pytest.mark.parametrize("option", ["--template", "--repo", "-r"])
def test_template(kratos: Kratos, template: Path, desk: Path, option: str) -> None:
    """A template of one's own; what to type is quoted where it has to be."""
    ran = kratos("new", desk.parent / "a b" / "shop", option, template)
    assert ran.code == 0
    assert "README.md" in ran.out
    assert f"  cd '{desk.parent}/a b/shop'\n" in ran.out
    assert (desk.parent / "a b/shop/README.md").read_text() == "shop\n"


def test_template_of_here(kratos: Kratos, template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder one is in may be the template."""
    monkeypatch.chdir(template)
    assert kratos("new", "shop", "-r", ".").code == 0
    assert os.listdir(template / "shop") == ["README.md"]


def test_something_is_there(kratos: Kratos, desk: Path, template: Path) -> None:
    """What is there stays, and nobody is asked."""
    (desk / "shop").mkdir()
    (desk / "shop" / "mine").write_text("mine")
    ran = kratos("new", "shop", "-r", template)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {desk / 'shop'} is not empty")
    assert os.listdir(desk / "shop") == ["mine"]


@pytest.mark.parametrize(
    ("arguments", "said", "suggested"),
    [
        ([], "NAME", "kratos new --help"),
        (["json"], "Python's own library", "kratos new json-service"),
        (["shop", "--layout", "onion"], "onion", "kratos new --help"),
        (["shop", "--layout", "simple", "-r", "x"], "give one of them", "kratos new --help"),
        (["shop", "-b", "main"], "--branch needs a --template", "kratos new --help"),
        (["shop", "-r", "--upload-pack=x"], "is no template", "kratos new --help"),
        (["shop", "-t", "soon"], "'soon' is no time", "kratos new --help"),
        (["shop", "-t", "0"], "more than nothing", "kratos new --help"),
        (["shop", "-t", "25h"], "at most a day", "kratos new --help"),
    ],
)
def test_wrong_usage(kratos: Kratos, desk: Path, arguments: list[str], said: str, suggested: str) -> None:
    """What makes no sense makes nothing."""
    ran = kratos("new", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.endswith(f"  try: {suggested}\n")
    assert os.listdir(desk) == []


@pytest.mark.parametrize("time", ["0.2", "0.2s", "200ms", "0m0.2s"])
def test_timeout(kratos: Kratos, desk: Path, time: str) -> None:
    """A clone that takes too long fails and leaves nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ran = kratos("new", "a/shop", "-r", f"git://127.0.0.1:{silent.getsockname()[1]}/x", "-t", time)
    assert ran.code == 1
    assert "was not cloned within 0.2 s" in ran.err
    assert os.listdir(desk) == []


def test_generation_fails(kratos: Kratos, desk: Path, template: Path) -> None:
    """The project stays where it is, with what is wrong and what to type."""
    (template / "pyproject.toml").write_text('[tool.kratos]\nprotos = ["api"]\nout = "x"\n')
    (template / "api").mkdir()
    (template / "api" / "a.proto").write_text('syntax = "proto3";\nmessage A {\n')
    ran = kratos("new", "shop", "-r", template)
    assert (ran.code, ran.out) == (1, "")
    assert f"made {desk / 'shop'}, but not its generated code\n" in ran.err
    assert "a.proto:" in ran.err
    assert ran.err.endswith("  try: cd shop && kratos generate\n")
    assert (desk / "shop/api/a.proto").is_file()


def test_another_app(kratos: Kratos, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a project it is a further app; what to do next is said, and what could not be done."""
    kratos("new", "shop")
    monkeypatch.chdir(desk / "shop")
    ran = kratos("new", "my-users")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("added my-users to shop: 7 files\n")
    assert ran.out.endswith(
        "next:\n  kratos run my_users --reload\n  curl localhost:8001/helloworld/kratos\n  pytest\n"
    )
    said = json.loads(kratos("new", "more", "--json").out)
    assert (said["path"], said["package"], said["layout"]) == (str(desk / "shop"), "more", "app")
    assert "more/main.py" in said["files"]
    ran = kratos("new", "layers", "--layout", "layered")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.endswith("  try: kratos new layers\n")
    settings = Path("pyproject.toml")
    settings.write_text(settings.read_text().replace('"tests",', "'tests', # ours\n"))
    assert 'pyproject.toml: add "odd" to tool.mypy.files' in kratos("new", "odd").err
    Path("api/helloworld/v1/greeter.proto").write_text("nothing")
    ran = kratos("new", "late")
    assert ran.code == 1
    assert ran.err.startswith(f"added late to {desk / 'shop'}, but not its generated code\n")
    assert ran.err.endswith("  try: kratos generate\n")
    assert "late.main:app" in settings.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are not the same there")
def test_interrupted(desk: Path) -> None:
    """Ctrl-C during a clone ends git as well, and leaves nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"git://127.0.0.1:{silent.getsockname()[1]}/x"
        command = [sys.executable, "-m", "kratos.tools.cli", "new", "shop", "-r", address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            silent.settimeout(30)
            connection, _ = silent.accept()  # git is waiting for an answer now
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
            with connection:
                connection.settimeout(30)
                while connection.recv(4096):  # what git has asked for, then the end: it is gone
                    pass
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert os.listdir(desk) == []
