"""Where lines go."""

from __future__ import annotations

import io
import os
import sys
import threading
from pathlib import Path

import pytest

from kratos.log.sink import is_terminal, write


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_path_is_appended_to(tmp_path: Path) -> None:
    """A file is opened for each batch, so one that was moved away is made anew."""
    path = tmp_path / "access.log"
    write(path, "a\n")
    write(str(path), "b\n")
    assert path.read_text() == "a\nb\n"
    path.rename(tmp_path / "access.log.1")
    write(path, "ü\udc80\n")
    assert path.read_text(encoding="utf-8") == "ü\\udc80\n"


def test_a_stream_gets_what_it_has_letters_for() -> None:
    """What an encoding cannot hold is escaped instead of failing."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    write(stream, "aü\n")
    assert raw.getvalue() == b"a\\xfc\n"


def test_stderr_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default is the stderr there is when something is written; without one nothing is."""
    first, second = io.StringIO(), Terminal()
    monkeypatch.setattr(sys, "stderr", first)
    write(None, "a")
    assert not is_terminal(None)
    monkeypatch.setattr(sys, "stderr", second)
    write(None, "b")
    assert is_terminal(None)
    monkeypatch.setattr(sys, "stderr", None)
    write(None, "c")
    assert not is_terminal(None)
    assert (first.getvalue(), second.getvalue()) == ("a", "b")


def test_who_is_a_terminal() -> None:
    """A file is none, whatever its name."""
    assert is_terminal(Terminal())
    assert not is_terminal("/dev/tty")


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_standard_stream_is_written_by_its_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it arrives behind what was printed before, also where whoever shares the pipe has made it non-blocking."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    taken: list[bytes] = []

    def take() -> None:
        while data := os.read(reading, 1000):
            taken.append(data)

    thread = threading.Thread(target=take)
    with open(writing, "w") as stream:
        monkeypatch.setattr(sys, "__stderr__", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        stream.write("first ")
        thread.start()
        write(None, "x" * 300_000 + "\n")
    thread.join()
    os.close(reading)
    assert b"".join(taken) == b"first " + b"x" * 300_000 + b"\n"


def test_a_standard_stream_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a descriptor it is written to like any other; what is closed says so."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    write(None, "x\n")
    assert stream.getvalue() == "x\n"
    stream.close()
    with pytest.raises(ValueError, match="closed"):
        write(None, "x\n")
