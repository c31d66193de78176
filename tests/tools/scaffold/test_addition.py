"""Apps are added to projects as a whole, or not at all, and change nothing that is there."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from kratos.tools.codegen.project import Project, generate
from kratos.tools.failure import USAGE, Failure
from kratos.tools.scaffold.addition import Added, add
from kratos.tools.scaffold.names import Names
from kratos.tools.scaffold.project import fill, make
from kratos.tools.scaffold.template import LAYOUTS, Template

OWN = [
    "users/__init__.py", "users/__main__.py", "users/main.py", "users/py.typed", "users/telemetry.py",
    "tests/test_users.py",
]  # fmt: skip


def project(folder: Path, layout: str = "simple") -> Project:
    return Project.load(fill(make(Names.of(str(folder / "shop")), Template.built_in(layout))).names.root)


def added(target: Project, name: str = "users") -> Added:
    done = add(Project.load(target.root), Names.of(str(target.root / name)))
    generate(Project.load(target.root))
    return done


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and not {".kratos", "__pycache__"} & {*path.parts})
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_added(tmp_path: Path, layout: str) -> None:
    """An app is a package and its tests, on ports of its own; what there was is as it was, but for the settings."""
    shop = project(tmp_path, layout)
    before = contents(shop.root)
    first, second = added(shop), added(shop, "alpha")
    after = contents(shop.root)
    assert first.files == tuple(sorted([*OWN, "pyproject.toml"]))
    assert {name for name in after if after[name] != before.get(name)} == {*first.files, *second.files}
    assert (first.ports, second.ports) == ((8001, 9001, 9101), (8002, 9002, 9102))
    assert (first.left, second.left) == ({}, {})
    tools = tomllib.loads((shop.root / "pyproject.toml").read_text())["tool"]
    assert tools["kratos"]["app"] == ["shop.main:app", "users.main:app", "alpha.main:app"]
    assert tools["hatch"]["build"]["targets"]["wheel"]["packages"] == ["shop", "users", "alpha"]
    assert tools["mypy"]["files"] == ["shop", "tests", "users", "alpha"]
    assert '127.0.0.1"' in (shop.root / "users/main.py").read_text()
    assert "{HOST}:8001" in (shop.root / "users/main.py").read_text()
    # In a process of its own: the names of packages are those of other tests, too.
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/test_users.py",
        "tests/test_alpha.py",
    ]
    done = subprocess.run(command, cwd=shop.root, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    ruff = [sys.executable, "-m", "ruff"]
    for words in (["check", "--no-cache"], ["format", "--no-cache", "--check"]):
        done = subprocess.run([*ruff, *words, "."], cwd=shop.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_a_contract_of_theirs(tmp_path: Path) -> None:
    """Protos that are there stay; one that is gone comes back with its code, for the app stands on it."""
    shop = project(tmp_path)
    greeter = shop.root / "api/helloworld/v1/greeter.proto"
    reasons = greeter.with_name("error_reason.proto")
    greeter.write_text(f"// Ours.\n{greeter.read_text()}")
    reasons.unlink()
    done = added(shop)
    assert "api/helloworld/v1/error_reason.proto" in done.files
    assert "api/helloworld/v1/greeter.proto" not in done.files
    assert greeter.read_text().startswith("// Ours.\n")


def test_settings_in_another_style(tmp_path: Path) -> None:
    """What cannot be written is left to the user, byte for byte as it was; what need not be said is not."""
    shop = project(tmp_path)
    settings = shop.root / "pyproject.toml"
    text = (
        settings.read_text()
        .replace('app = "shop.main:app"\n', "")
        .replace('"shop", "tests"', "'shop', \"tests\" # x\n")
    )
    settings.write_bytes(text.replace("\n", "\r\n").encode())
    before = settings.read_bytes()
    done = added(shop)
    assert done.left == {"tool.hatch.build.targets.wheel.packages": "users", "tool.mypy.files": "users"}
    assert settings.read_bytes() == before
    assert "pyproject.toml" not in done.files
    assert done.ports == (8001, 9001, 9101)


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("shop/users", "is inside of the project", "kratos new users"),
        ("shop", "shop is not empty", "shop-2"),
        ("Shop", "shop is not empty", "shop-2"),
        ("taken", "test_taken.py is there already", ""),
    ],
)
def test_no_room(tmp_path: Path, name: str, said: str, hint: str) -> None:
    """What is there stays, and so does everything else."""
    shop = project(tmp_path)
    (shop.root / "tests/test_taken.py").write_text("mine")
    before = contents(shop.root)
    with pytest.raises(Failure, match=said) as failure:
        added(shop, name)
    assert failure.value.code == USAGE
    assert hint in failure.value.hint
    assert contents(shop.root) == before
    assert not (shop.root / "taken").exists()


def test_code_in_src(tmp_path: Path) -> None:
    """Where packages are not beside the settings, they are not added there."""
    (tmp_path / "pyproject.toml").write_text('[tool.kratos]\nout = "src/shop/gen"\n')
    (tmp_path / "api").mkdir()
    with pytest.raises(Failure, match="keeps its code in src"):
        add(Project.load(tmp_path), Names.of(str(tmp_path / "users")))


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the last file cannot be put into its place, no other is."""
    shop = project(tmp_path)
    before = contents(shop.root)
    rename, done = os.rename, list[object]()

    def renamed(source: Path, target: Path) -> None:
        if len(done) == len(OWN) - 1:
            raise OSError(28, "No space left on device", str(target))
        done.append(target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", renamed)
    with pytest.raises(Failure, match="cannot add to .*: No space left on device"):
        added(shop)
    assert contents(shop.root) == before
    assert not (shop.root / "users").exists()
