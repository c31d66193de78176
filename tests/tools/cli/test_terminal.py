"""Commands in a real terminal of 80 columns: nothing is too wide for it, colours are on, questions can be answered."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kratos.tools.cli.root import COMMANDS

if sys.platform == "win32":
    pytest.skip("there are no such terminals", allow_module_level=True)

import fcntl
import pty
import struct
import termios

WIDTH = 80
PATIENCE = 60.0
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\n]*\r(?=[^\n])")


PAGES = [(), *((name,) for name in COMMANDS), *(("proto", name) for name in ("add", "client", "server"))]
# Ctrl-C reaches whoever has taken the terminal for their own.
ATTACHED = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


class Terminal:
    """A terminal with a command in it.

    Args:
        words: The command line after ``kratos``.
        folder: Where it is run.
    """

    def __init__(self, *words: str, folder: Path) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, WIDTH, 0, 0))
        hidden = {"NO_COLOR", "COLUMNS", "LINES", "KRATOS_ENV"}
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        self._process = subprocess.Popen(
            [sys.executable, "-c", ATTACHED, sys.executable, "-m", "kratos.tools.cli", *words],
            cwd=folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**kept, "TERM": "xterm"},
            start_new_session=True,
        )
        os.close(theirs)
        self.raw = ""

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def shows(self, text: str) -> None:
        """Waits until the terminal shows something."""
        end = time.monotonic() + PATIENCE
        while text not in self.text:
            assert time.monotonic() < end, self.text
            assert self._read(), self.text

    def end(self) -> int:
        """Waits for the end of the command and returns its exit code."""
        while self._read():
            pass
        os.close(self._ours)
        return self._process.wait(PATIENCE)

    def interrupt(self) -> int:
        """Presses Ctrl-C until the command ends: Python sleeps through one that comes just before it reads."""
        while self._process.poll() is None:
            with suppress(OSError):  # it has ended meanwhile
                self.type("\x03")
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
        return self.end()

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)
            with suppress(OSError):
                os.close(self._ours)

    @property
    def text(self) -> str:
        """What somebody sees: without colours, and without what was drawn over."""
        return CONTROL.sub("", COLOUR.sub("", self.raw.replace("\r\n", "\n")))

    def _read(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], PATIENCE)
        assert ready, f"nothing is said any more after\n{self.text}"
        try:
            heard = os.read(self._ours, 65536)
        except OSError:  # how Linux says that nobody is at the other end
            return False
        self.raw += heard.decode()
        return bool(heard)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new project with two apps."""
    desk = tmp_path_factory.mktemp("t")
    fits(Terminal("new", "shop", folder=desk), "made shop", 0)
    fits(Terminal("new", "users", folder=desk / "shop"), "added users", 0)
    yield desk / "shop"
    shutil.rmtree(desk)


def fits(terminal: Terminal, said: str, code: int) -> Terminal:
    """Runs a command to its end: it says something, ends as it should, and no line of it is too wide.

    A word alone may be wider: a path that is broken cannot be copied.
    """
    try:
        assert terminal.end() == code, terminal.text
    finally:
        terminal.kill()
    assert said in " ".join(terminal.text.split()), terminal.text
    wide = [line for line in terminal.text.splitlines() if len(line) > WIDTH and len(line.split()) > 1]
    assert not wide
    return terminal


@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_help(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Every page of help."""
    said = " ".join(["Usage: kratos", *words, "[OPTIONS]"])
    fits(Terminal(*words, "--help", folder=tmp_path), said, 0)


@pytest.mark.parametrize(
    ("command", "said", "code"),
    [
        ("generate", "generated 0 files", 0),
        ("lint", "no findings", 0),
        ("routes shop", "/helloworld/{name}", 0),
        ("doctor", "ok app (users.main:app)", 0),
        ("version", "kratos version", 0),
        ("openapi shop -o ../openapi.json", "wrote", 0),
        ("call http://127.0.0.1:1 SayHello {}", "field name is empty", 2),
        ("call 127.0.0.1:1 SayHello {}", "does not say how to call it", 2),
        ("call http://127.0.0.1:1 SayHelo {}", "the nearest are helloworld.v1.Greeter/SayHello", 2),
        ("call grpc://127.0.0.1:1 SayHello {", "the request is not JSON", 2),
        ("new shop", "shop is not empty: ", 2),
        ("new cafe/users", "whose apps are packages beside each other", 2),
        ("run shop.mian", "there is no module shop.mian", 2),
        ("run shop/main.py", "is not module:attribute", 2),
        ("run --port 65536", "65536 is no port", 2),
        ("proto server api/nothing/v1/nothing.proto", "is no proto of", 2),
        ("nwe shop", "kratos has no command 'nwe'", 2),
    ],
)
def test_usual(shop: Path, command: str, said: str, code: int) -> None:
    """What commands usually say."""
    fits(Terminal(*command.split(), folder=shop), said, code)


def test_colours(shop: Path) -> None:
    """Colours are on, for what a command has found and for what it could not do."""
    assert COLOUR.search(fits(Terminal("doctor", folder=shop), "ok", 0).raw)
    assert COLOUR.search(fits(Terminal("nwe", folder=shop), "error:", 2).raw)


def test_which_app(shop: Path) -> None:
    """Of several apps one is chosen, and served; what is no app is asked again. Ctrl-C ends it."""
    terminal = Terminal("run", "--port", "0", "--grpc-port", "0", "--admin-port", "0", folder=shop)
    try:
        terminal.shows("which app (shop, users): ")
        terminal.type("userz\n")
        terminal.shows("is not one of")
        terminal.type("users\n")
        terminal.shows("stop: Ctrl-C")
        assert "users 0.1.0 (kratos " in terminal.text
        terminal.type("\x03")
        assert terminal.end() == 0
    finally:
        terminal.kill()


def test_no_answer(shop: Path) -> None:
    """Ctrl-C is an answer, too."""
    terminal = Terminal("run", folder=shop)
    try:
        terminal.shows("which app (shop, users): ")
        assert terminal.interrupt() == 130
        assert "Traceback" not in terminal.text
    finally:
        terminal.kill()
