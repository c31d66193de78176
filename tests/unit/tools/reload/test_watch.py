"""What counts as a change."""

from __future__ import annotations

import os
import py_compile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kratos.tools.reload import watch as watching
from kratos.tools.reload.code import forget, regenerate
from kratos.tools.reload.snapshot import Scope, Snapshot, different, is_source
from kratos.tools.reload.watch import Change, Watch


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("main.py", True), ("greeter.proto", True), ("config.yaml", True), ("a.yml", True), ("a.json", True),
        ("pyproject.toml", True), (".env", True), (".env.local", True), ("shop.env", True),
        ("main.pyc", False), ("main.py~", False), (".main.py.swp", False), ("4913", False), ("notes.md", False),
        (".#main.py", False), ("._main.py", False), ("main.py.tmp.123", False),
    ],
)  # fmt: skip
def test_files(name: str, counts: bool) -> None:
    """Code, protos and configuration count; what editors keep beside them does not."""
    assert is_source(name) is counts


def test_folders(tmp_path: Path) -> None:
    """Folders that tools write are left out, unless they are packages."""
    for name in ("a", "gen", ".git", "__pycache__", "node_modules", "dist", "build", "venv", "deep/build"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.py").touch()
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "deep" / "build" / "__init__.py").touch()
    scope = Scope(tmp_path, ("gen",), (tmp_path.parent / "beside.env",))
    assert {scope.label(path) for path in scope.files()} == {
        "a/x.py", "deep/build/__init__.py", "deep/build/x.py", str(tmp_path.parent / "beside.env"),
    }  # fmt: skip


def test_contents(tmp_path: Path) -> None:
    """A touch is no change; another content of the same size and time is one."""
    a, b = tmp_path / "a.py", tmp_path / "b.py"
    a.write_text("1")
    b.write_text("2")
    first = Snapshot.of([a, b])
    a.touch()
    assert not different(first, Snapshot.of([a, b], first))
    os.utime(a, (1, 1))
    second = Snapshot.of([a, b], first)
    a.write_text("3")
    os.utime(a, (1, 1))
    assert different(second, Snapshot.of([a, b], second)) == {a}
    b.unlink()
    assert different(second, Snapshot.of([a, b], second)) == {a, b}
    assert Snapshot.of([tmp_path / "nothing"]).digests == {}


def test_one_after_the_other() -> None:
    """Two changes are one, since the first."""
    both = Change(frozenset({Path("a")}), 2.0) | Change(frozenset({Path("b")}), 1.0)
    assert both == Change(frozenset({Path("a"), Path("b")}), 1.0)


def changed(watch: Watch, act: Callable[[], None]) -> Change:
    """Returns the first change that comes of an act."""
    timer = threading.Thread(target=act)
    timer.start()
    try:
        return next(watch.changes())
    finally:
        timer.join()
        watch.stop()


def test_a_change(tmp_path: Path) -> None:
    """It is noticed, with the time of it, also in a folder that is new."""
    (tmp_path / "a.py").touch()
    watch = Watch(Scope(tmp_path))
    assert len(watch) == 1

    def act() -> None:
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "b.py").write_text("1")

    before = time.monotonic()
    change = changed(watch, act)
    assert change.paths == {tmp_path / "new" / "b.py"}
    assert before - 1 < change.since <= time.monotonic()


def test_a_save_in_two_steps(tmp_path: Path) -> None:
    """A file that is deleted is awaited for a moment: it comes back with the new content."""
    path = tmp_path / "a.py"
    path.write_text("1")
    watch = Watch(Scope(tmp_path))
    path.unlink()
    threading.Timer(0.15, path.write_text, ["2"]).start()
    assert changed(watch, lambda: None).paths == {path}
    assert path.read_text() == "2"


def test_no_more_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no watches left, looking every so often does."""
    path = tmp_path / "a.py"
    path.write_text("1")
    real, forced = watching.watch, list[object]()

    def watch(*paths: Path, **settings: object) -> object:
        forced.append(settings["force_polling"])
        if not settings["force_polling"]:
            raise OSError("no space left on device")
        return real(*paths, **settings)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(watching, "watch", watch)
    assert changed(Watch(Scope(tmp_path)), lambda: path.write_text("2") and None).paths == {path}
    assert forced == [None, True]


def test_byte_code(tmp_path: Path) -> None:
    """It is removed; that there is none is no matter."""
    path = tmp_path / "a.py"
    path.write_text("1")
    compiled = Path(str(py_compile.compile(str(path))))
    assert compiled.exists()
    forget([path, path, tmp_path / "a.proto"])
    assert not compiled.exists()


def test_no_project(tmp_path: Path) -> None:
    """Where nothing is to be generated, nothing is."""
    assert regenerate(tmp_path) == (None, False)
