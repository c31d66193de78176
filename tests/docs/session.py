"""Runs the sessions in a Markdown page as a reader would type them, and compares what they see.

What a page may hold, beside prose:

- A ``console`` block: commands after ``$``, each with what it prints. ``…`` stands for any text within a line, a line
  that is only ``…`` for any lines.
- A ``diff`` block: the file named in its ``+++`` line is edited; context and removed lines have to be there, once.
- A comment ``<!-- session: … -->`` before a block changes its meaning: ``skip`` (not run), ``background`` (the command
  goes on running), ``background prints`` (what the running command prints next), ``interrupt`` (Ctrl-C for the running
  command; the block is what it prints, and it has to exit with 0).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "Session", "blocks"]

_BLOCK = re.compile(
    r"(?:<!-- session: (?P<how>[^>]*?) -->\n+)?^```(?P<kind>console|diff)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
SECONDS = 60


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    line: int
    kind: str
    how: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    """Yields the blocks of a page that are part of its session."""
    for found in _BLOCK.finditer(page):
        yield Block(page.count("\n", 0, found.start("text")), found["kind"], found["how"] or "", found["text"])


def matches(expected: list[str], seen: list[str]) -> bool:
    """Tells whether the lines are as expected."""
    pattern = "".join(r"(?:.*\n)*?" if line == "…" else f"{_line(line)}\n" for line in expected)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in seen)) is not None


def _line(expected: str) -> str:
    return ".*?".join(re.escape(part) for part in expected.rstrip().split("…")) + r" *"


class Session:
    """One reader with one or two terminals.

    Args:
        folder: Where they begin.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        scripts = os.path.dirname(sys.executable)
        self.environment = {**os.environ, "PATH": os.pathsep.join([scripts, os.environ["PATH"]]), "NO_COLOR": "1"}
        self.running: Background | None = None

    def play(self, block: Block) -> None:
        """Does what a block says.

        Raises:
            AssertionError: Something else is seen than the page promises.
        """
        match block.kind, block.how:
            case _, "skip":
                pass
            case "diff", _:
                self._edit(block)
            case _, "background":
                command, expected = next(_commands(block.text))
                self.running = Background(command, self.folder, self.environment)
                self.running.expect(expected)
            case _, "background prints" if self.running:
                self.running.expect(block.text.splitlines())
            case _, "interrupt" if self.running:
                self.running.interrupt(block.text.splitlines())
                self.running = None
            case _, "":
                for command, expected in _commands(block.text):
                    self._run(command, expected)
            case _:
                raise AssertionError(f"line {block.line}: no such session: {block.how}")

    def close(self) -> None:
        """Ends what is still running."""
        if self.running is not None:
            self.running.process.kill()

    def _run(self, command: str, expected: list[str]) -> None:
        if command.startswith("cd "):
            self.folder /= command.removeprefix("cd ")
            return
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.folder, env=self.environment, text=True, timeout=SECONDS * 3,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        seen = [line.rstrip() for line in done.stdout.splitlines()]
        assert matches(expected, seen), f"$ {command}\nexpected:\n{_shown(expected)}\nseen:\n{_shown(seen)}"

    def _edit(self, block: Block) -> None:
        lines = block.text.splitlines()
        name = next(line.removeprefix("+++ ") for line in lines if line.startswith("+++ "))
        body = [line for line in lines if not line.startswith(("---", "+++"))]
        old = "".join(f"{line[1:]}\n" for line in body if not line.startswith("+"))
        new = "".join(f"{line[1:]}\n" for line in body if not line.startswith("-"))
        path = self.folder / name
        text = path.read_text()
        assert text.count(old) == 1, f"line {block.line}: {name} holds this {text.count(old)} times:\n{old}"
        path.write_text(text.replace(old, new))


class Background:
    """A command in a terminal of its own."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        self.command = command
        self.process = subprocess.Popen(
            command.split(), cwd=folder, env=environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self.seen: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def expect(self, expected: list[str]) -> None:
        """Waits until it has printed what is expected; what it printed is used up then."""
        end = time.monotonic() + SECONDS
        while not matches(expected, self.seen):
            assert self.process.poll() is None, f"{self.command} ended:\n{_shown(self.seen)}"
            assert time.monotonic() < end, f"{self.command}\nexpected:\n{_shown(expected)}\nseen:\n{_shown(self.seen)}"
            time.sleep(0.05)
        self.seen.clear()

    def interrupt(self, expected: list[str]) -> None:
        """Presses Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)
        code = self.process.wait(SECONDS)
        self.reader.join(SECONDS)
        assert code == 0, f"{self.command} ended with {code}:\n{_shown(self.seen)}"
        assert matches(expected, self.seen), f"expected:\n{_shown(expected)}\nseen:\n{_shown(self.seen)}"

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self.seen.append(line.rstrip())


def _commands(text: str) -> Iterator[tuple[str, list[str]]]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *expected = part.splitlines()
        while command.endswith("\\"):
            command = command[:-1] + expected.pop(0).removeprefix("> ")
        yield command, expected


def _shown(lines: list[str]) -> str:
    return "\n".join(f"  | {line}" for line in lines)
