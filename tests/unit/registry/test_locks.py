"""Locks of files end with the process that holds them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from weakref import WeakSet

import pytest

from kratos.registry import locks
from kratos.registry.locks import Lock, is_locked

FORKING = """
import os, sys
from pathlib import Path
from kratos.registry.locks import Lock, is_locked

path = Path(sys.argv[1])
lock, gone = Lock(path), Lock(path.with_suffix(".gone"))
gone.release()
child = os.fork()
if not child:
    lock.release()  # as what still knows of it in a child may do
    print("child", os.getpid(), lock.stands, is_locked(path), flush=True)
    sys.stdin.read()
    os._exit(0)
sys.stdin.read()
"""


def test_locked_and_released(tmp_path: Path) -> None:
    """Others see it from the beginning to the end, and the file goes with it."""
    path = tmp_path / "a.lock"
    assert not is_locked(path)
    lock = Lock(path)
    assert lock.stands
    assert is_locked(path)
    with pytest.raises(BlockingIOError, match=r"a\.lock is locked by another process"):
        Lock(path)
    lock.release()
    lock.release()
    assert not lock.stands
    assert not path.exists()


def test_a_file_that_is_not_ours_any_more(tmp_path: Path) -> None:
    """A lock whose file was removed does not stand, and takes no other file along."""
    path = tmp_path / "a.lock"
    lock = Lock(path)
    path.unlink()
    path.write_text("")
    assert not lock.stands
    lock.release()
    assert path.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked on this system")
def test_children_have_no_part_in_it(tmp_path: Path) -> None:
    """A child that was forked does not unlock the file for its parent, and does not keep it when that is killed."""
    path = tmp_path / "a.lock"
    command = [sys.executable, "-c", FORKING, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        try:
            told = parent.stdout.readline().split()
            assert told[0] == "child"
            assert told[2:] == ["False", "True"]
            assert is_locked(path)
        finally:
            parent.kill()
            parent.wait()
        os.kill(int(told[1]), 0)  # the child lives on
        assert not is_locked(path)
        parent.stdin.close()


def test_what_a_child_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It closes the files of all locks that there are, and removes none."""
    monkeypatch.setattr(locks, "_held", WeakSet())
    paths = [tmp_path / name for name in ("a.lock", "b.lock")]
    held = [Lock(path) for path in paths]
    locks._part()
    assert not any(lock.stands or is_locked(path) for lock, path in zip(held, paths, strict=True))
    assert all(path.exists() for path in paths)
