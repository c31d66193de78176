"""Which apps a project has."""

from __future__ import annotations

from pathlib import Path

import pytest

from kratos.tools.codegen.apps import apps, called
from kratos.tools.codegen.project import Project, ProjectError


def write(root: Path, **modules: str) -> None:
    for name, text in modules.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "app = App()",
        "app: App = App()",
        "app=App()",
        "def app() -> App: ...",
        "async def app(): ...",
        "app = 1\ndef x(",
    ],
)
def test_apps(tmp_path: Path, text: str) -> None:
    """An app is what is called so in a main module, whether that can be read to its end or not."""
    write(tmp_path, main=f'"""Here."""\nimport os\n{text}', shop__main=text, users__main=text)
    assert apps(tmp_path, None) == ("main:app", "shop.main:app", "users.main:app")


@pytest.mark.parametrize("text", ["", "apps = 1", "x.app = 1", "    app = 1", "application = 1", "app == 1"])
def test_none(tmp_path: Path, text: str) -> None:
    """Other names are none, and neither are other files and folders that cannot be imported."""
    write(tmp_path, main=text, shop__main=text, shop__other="app = 1", shop__deep__main="app = 1")
    (tmp_path / "no-package").mkdir()
    (tmp_path / "no-package" / "main.py").write_text("app = 1")
    (tmp_path / "folder" / "main.py").mkdir(parents=True)
    assert apps(tmp_path, None) == ()
    assert apps(tmp_path, Project(tmp_path)) == ()


def test_the_table_decides(tmp_path: Path) -> None:
    """What the table says is all there is: one, or several."""
    write(tmp_path, shop__main="app = 1")
    for said, found in (('"a.b:c"', ("a.b:c",)), ('["a:b", "c:d"]', ("a:b", "c:d")), ("[]", ("shop.main:app",))):
        (tmp_path / "pyproject.toml").write_text(f'[tool.kratos]\nout = "gen"\napp = {said}\n')
        assert apps(tmp_path, Project.load(tmp_path)) == found
    (tmp_path / "pyproject.toml").write_text('[tool.kratos]\nout = "gen"\napp = ["a", 1]\n')
    with pytest.raises(ProjectError, match=r'app must be .* "myapp.main:app", or a list of them'):
        Project.load(tmp_path)


def test_called() -> None:
    """An app is called what its package is."""
    assert [called(each) for each in ("shop.main:app", "main:app", "shop")] == ["shop", "main", "shop"]
