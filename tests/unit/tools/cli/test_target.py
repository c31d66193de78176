"""Which project, which app, and whose fault."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kratos.app import App
from kratos.tools.cli.target import SeveralApps, Target, current
from kratos.tools.failure import Failure

TABLE = '[tool.kratos]\nout = "gen"\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, with the current folder in it; what it imports is forgotten."""
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "a.proto").touch()
    (tmp_path / "pyproject.toml").write_text(TABLE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def shop(project: Path, text: str) -> None:
    """Writes ``shop/main.py``."""
    (project / "shop").mkdir(exist_ok=True)
    (project / "shop" / "main.py").write_text(text)
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]


def test_the_project_around(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder belongs to the project above it."""
    (project / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(project / "deep" / "er")
    assert current().root.samefile(project)


def test_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a project, how to get one is said."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Failure, match="is not in a project") as failure:
        current()
    assert (failure.value.hint, failure.value.code) == ("kratos new shop", 2)
    with pytest.raises(Failure, match="is not in a project"):
        Target.of(None)
    assert Target.of("shop.main:app") == Target("shop.main", "app", tmp_path)


def test_what_to_serve(project: Path) -> None:
    """The command line says what to serve, else the project does."""
    assert str(Target.of("shop.main")) == "shop.main:app"
    with pytest.raises(Failure, match=r'neither does pyproject.toml say app = "shop\.main:app"') as failure:
        Target.of(None)
    assert (failure.value.hint, failure.value.code) == ("kratos run shop.main:app", 2)
    (project / "pyproject.toml").write_text(f'{TABLE}app = "shop.main:make"\n')
    assert str(Target.of(None)) == "shop.main:make"
    assert str(Target.of("other:thing.app")) == "other:thing.app"


def test_the_only_app(project: Path) -> None:
    """Where nobody says what to serve, the only app there is."""
    shop(project, "app = 1")
    assert str(Target.of(None)) == "shop.main:app"
    assert str(Target.of("shop")) == "shop.main:app"
    assert str(Target.of("shop.other")) == "shop.other:app"


def test_several_apps(project: Path) -> None:
    """Of several apps one has to be named, by its package or in full where that means two."""
    said = '["shop.main:app", "users.main:app", "users.main:admin"]'
    (project / "pyproject.toml").write_text(f"{TABLE}app = {said}\n")
    with pytest.raises(SeveralApps) as failure:
        Target.of(None, command="kratos routes")
    names = ["shop", "users.main:app", "users.main:admin"]
    assert str(failure.value).splitlines() == ["there are 3 apps, say which one:", *(f"  {name}" for name in names)]
    assert (failure.value.hint, failure.value.code) == ("kratos routes shop", 2)
    assert [*failure.value.apps] == names
    assert str(Target.of("shop")) == "shop.main:app"
    assert str(Target.of("users.main:admin")) == "users.main:admin"


@pytest.mark.parametrize("wrong", ["shop/main.py", "shop.main app", ":app", "shop..main"])
def test_no_reference(project: Path, wrong: str) -> None:
    """A path is not a reference."""
    with pytest.raises(Failure, match="is not module:attribute") as failure:
        Target.of(wrong)
    assert failure.value.code == 2


@pytest.mark.parametrize(
    "text",
    [
        "from kratos import App\napp = App(name='shop')",
        "from kratos import App\ndef app(): return App(name='shop')",
        "from kratos import App\nasync def app(): return App(name='shop')",
    ],
)
async def test_an_app(project: Path, text: str) -> None:
    """An app, a function and an async factory serve alike."""
    shop(project, text)
    app = await Target.of("shop.main:app").app()
    assert isinstance(app, App)
    assert app.info.name == "shop"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_like_this", r"^shop/main.py:1: ModuleNotFoundError: No module named 'nothing_like_this'$"),
        ("def f(:\n", r"^shop/main.py:1:\d+: SyntaxError"),
        ("x = 1\ny = 1 / 0", r"^shop/main.py:2: ZeroDivisionError: division by zero$"),
        ("from kratos import App\ndef app():\n    return 1 / 0", r"^shop/main.py:3: ZeroDivisionError"),
        ("def app():\n    return 1", r"TypeError: 1 is not an App: .* has to return one$"),
        ("app = 1", "TypeError: 1 is not an App$"),
        ("other = 1", "shop.main has no app"),
    ],
)
async def test_whose_fault(project: Path, text: str, said: str) -> None:
    """What fails in the project is told with the project's own place."""
    shop(project, text)
    with pytest.raises(Failure, match=said):
        await Target.of("shop.main:app").app()


def test_what_else(project: Path) -> None:
    """A wrong name is answered with an app that is there; a missing module with where it was looked for."""
    shop(project, "from kratos import App\nserver = App(name='shop')")
    with pytest.raises(Failure) as failure:
        Target.of("shop.main:app").source()
    assert failure.value.hint == "shop.main:server"
    with pytest.raises(Failure, match="there is no module shop.mian in"):
        Target.of("shop.mian:app").source()
    with pytest.raises(Failure, match="there is no module shopp in"):
        Target.of("shopp.main:app").source()
