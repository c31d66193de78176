"""Files that change: what a look sees, and when. The clock is a number; the files are real."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kratos.config import ConfigError, File
from kratos.config import look as looking
from kratos.config.base import Layer, State


class Eye:
    """A source and a clock by hand."""

    def __init__(self, source: File) -> None:
        self.source = source
        self.now = 0.0

    def look(self, seconds: float = 0.0) -> State | None:
        """Looks after some seconds, and takes what is there."""
        self.now += seconds
        found = self.source.look(self.now)
        if found is None:
            return None
        self.source._look.take(found[0])
        return found[1]

    def settled(self) -> Any:
        """Looks for as long as it takes; returns plain data, the text of an error, or None."""
        state = self.look() or self.look(0.2) or self.look(2.0)
        return state.root.plain() if isinstance(state, Layer) else state and str(state)


async def watched(source: File) -> Eye:
    await source.load()
    return Eye(source)


def replaced(path: Path, text: str) -> None:
    """Saves by rename, as most editors do."""
    fresh = path.with_name(f".{path.name}.tmp")
    fresh.write_text(text)
    fresh.replace(path)


def moved_away(path: Path, text: str) -> None:
    """Saves as vim does: the old one becomes a backup, the new one is written in its place."""
    path.rename(f"{path}~")
    path.write_text(text)


SAVES: list[Callable[[Path, str], object]] = [Path.write_text, replaced, moved_away]


@pytest.mark.parametrize("save", SAVES)
@pytest.mark.parametrize("folder", [True, False])
async def test_edits_are_seen(save: Callable[[Path, str], object], folder: bool, tmp_path: Path) -> None:
    """Each of several edits is seen once, however it is saved, in a folder and as a file."""
    path = tmp_path / "config.yaml"
    path.write_text("a: 0")
    eye = await watched(File(tmp_path if folder else path))
    assert eye.settled() is None
    for number in range(1, 4):
        save(path, f"a: {number}")
        assert eye.settled() == {"a": number}
        assert eye.settled() is None


@pytest.mark.parametrize("folder", [True, False])
async def test_config_map(folder: bool, tmp_path: Path) -> None:
    """Kubernetes turns the link ``..data``; both files change at once, and each time it is seen."""

    def turn(number: int) -> None:
        data = tmp_path / f"..2026_{number}"
        data.mkdir()
        (data / "a.yaml").write_text(f"a: {number}")
        (data / "b.yaml").write_text(f"b: {number}")
        (tmp_path / "..data_tmp").symlink_to(data.name)
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")

    turn(0)
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    eye = await watched(File(tmp_path if folder else tmp_path / "a.yaml"))
    for number in range(1, 4):
        turn(number)
        assert eye.settled() == ({"a": number, "b": number} if folder else {"a": number})
        assert eye.settled() is None


async def test_half_written(tmp_path: Path) -> None:
    """A file is read when it has stayed as it is, and an empty one only if it stays so for longer."""
    path = tmp_path / "config.yaml"
    path.write_text("a: 1\nb: 2\n")
    eye = await watched(File(path))
    with path.open("w") as file:
        file.flush()
        assert eye.look(1.0) is None
        assert eye.look(0.5) is None
        for line in ("a: 3\n", "b: 4\n", "c: 5\n"):
            file.write(line)
            file.flush()
            assert eye.look(0.05) is None
            assert eye.source._look.settling
    assert eye.settled() == {"a": 3, "b": 4, "c": 5}
    assert not eye.source._look.settling
    path.write_text("")
    assert eye.look() is None
    assert eye.look(0.9) is None
    state = eye.look(0.2)
    assert isinstance(state, Layer)
    assert state.root.plain() == {}


async def test_no_patience(tmp_path: Path) -> None:
    """A file that never stays as it is gets read after a while."""
    path = tmp_path / "config.yaml"
    path.write_text("a: 0")
    eye = await watched(File(path))
    found: list[State] = []
    for number in range(1, 25):
        replaced(path, f"a: {number:05}")
        state = eye.look(0.5)
        found += [state] if state else []
    assert len(found) == 1
    assert isinstance(found[0], Layer)
    assert found[0].root.plain()["a"] > 18


async def test_read_while_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes while it is read is read again."""
    path = tmp_path / "config.yaml"
    path.write_text("a: 0")
    eye = await watched(File(path))
    replaced(path, "a: 1")
    content = looking._content
    late = ["a: 2000"]

    def read(which: Path) -> Any:
        result = content(which)
        if late:
            replaced(path, late.pop())
        return result

    monkeypatch.setattr(looking, "_content", read)
    assert eye.look() is None
    assert eye.look(0.2) is None
    assert not late
    assert eye.look(0.05) is None
    assert eye.settled() == {"a": 2000}


async def test_gone_and_back(tmp_path: Path) -> None:
    """A file that is gone for a moment was not gone; one that stays away is told, and its coming back too."""
    path = tmp_path / "config.yaml"
    path.write_text("a: 1")
    eye = await watched(File(path))
    path.unlink()
    assert eye.look() is None
    path.write_text("a: 1")
    assert eye.settled() is None
    path.unlink()
    assert eye.settled() == f"{path}: no such file or folder"
    assert eye.settled() is None
    path.write_text("a: 1")
    assert eye.settled() == {"a": 1}
    eye = await watched(File(path, optional=True))
    path.unlink()
    assert eye.settled() == {}


async def test_folder(tmp_path: Path) -> None:
    """Files come and go, what is nobody's business changes nothing, an empty folder and none are told."""
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "a.yaml").write_text("a: 1")
    eye = await watched(File(folder))
    (folder / "b.toml").write_text("b = 2")
    assert eye.settled() == {"a": 1, "b": 2}
    for name in ("a.yaml~", ".a.yaml.swp", "README.md", "4913"):
        (folder / name).write_text("{[")
    (folder / "sub.yaml").mkdir()
    assert eye.settled() is None
    (folder / "b.toml").unlink()
    assert eye.settled() == {"a": 1}
    (folder / "a.yaml").write_text("a: [")
    (folder / "c.json").write_text("{")
    said = eye.settled()
    assert said.startswith("2 problems:")
    assert f"{folder}/a.yaml:1:5" in said
    assert f"{folder}/c.json:1:2" in said
    (folder / "c.json").unlink()
    (folder / "a.yaml").unlink()
    assert "nothing to read in this folder" in eye.settled()
    folder.rename(tmp_path / "away")
    assert "no such file or folder" in eye.settled()
    folder.mkdir()
    (folder / "a.yaml").write_text("a: 1")
    assert eye.settled() == {"a": 1}


async def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read is told once, and read again when that is possible."""
    path = tmp_path / "config.yaml"
    path.write_text("a: 1")
    eye = await watched(File(tmp_path))
    forbidden = [path]
    content, listed = Path.read_bytes, Path.iterdir

    def read(which: Path) -> bytes:
        if which in forbidden:
            raise PermissionError(13, "Permission denied", str(which))
        return content(which)

    def listing(which: Path) -> Any:
        if which in forbidden:
            raise PermissionError(13, "Permission denied", str(which))
        return listed(which)

    monkeypatch.setattr(Path, "read_bytes", read)
    monkeypatch.setattr(Path, "iterdir", listing)
    path.chmod(0o600)
    assert eye.settled() == f"{path}: cannot be read: permission denied"
    assert eye.settled() is None
    forbidden[:] = [tmp_path]
    assert eye.settled() == f"{tmp_path}: cannot be read: permission denied"
    assert eye.settled() is None
    with pytest.raises(ConfigError, match="cannot be read: permission denied"):
        await eye.source.load()
    forbidden.clear()
    assert eye.settled() == {"a": 1}


async def test_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was only touched has not changed; one with the same stamp may have, as long as it is young."""
    path = tmp_path / "config.yaml"
    path.write_text("a: 1")
    eye = await watched(File(path))
    os.utime(path, (1, 1))
    assert eye.settled() is None
    same = path.stat()
    path.write_text("a: 2")
    os.utime(path, ns=(same.st_atime_ns, same.st_mtime_ns))
    monkeypatch.setattr(looking, "_stamp", lambda _: (1, 1, 4, 0, same.st_mtime_ns, same.st_ctime_ns))
    eye.source._look.take(looking.Files({path: b"a: 1"}, {path: looking._stamp(path)}, sure=False))
    assert eye.settled() == {"a": 2}
    reads: list[Path] = []
    monkeypatch.setattr(looking, "_content", lambda which: reads.append(which) or b"a: 2")
    assert eye.settled() is None
    assert reads
    # Once it is old enough, the stamp alone says it.
    monkeypatch.setattr(time, "time", lambda: same.st_ctime_ns / 1e9 + 10)
    assert eye.settled() is None
    reads.clear()
    assert eye.settled() is None
    assert not reads


def test_every() -> None:
    """A pause is a positive number."""
    for every in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="every is"):
            File("x", every=every)
