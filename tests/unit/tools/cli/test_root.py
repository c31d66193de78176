"""The root of the command line: help, wrong usage, exit codes, start-up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from commandline import Kratos

from kratos.tools.cli import root, terminal, version
from kratos.tools.cli.__main__ import main
from kratos.tools.failure import Failure
from kratos.version import __version__

COLOUR = "\x1b["


def fail_with(monkeypatch: pytest.MonkeyPatch, failure: BaseException) -> None:
    """Makes ``kratos version`` fail."""

    @click.command
    def command() -> None:
        raise failure

    monkeypatch.setattr(version, "command", command)


def test_help(kratos: Kratos) -> None:
    """Every command is listed with what it does; no line is too long for a terminal."""
    ran = kratos("--help")
    assert ran.code == 0
    for name, (_, summary) in root.COMMANDS.items():
        assert f"{name} " in ran.out
        assert summary in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


@pytest.mark.parametrize("name", list(root.COMMANDS))
def test_help_of_a_command(kratos: Kratos, name: str) -> None:
    """Every command has help that fits a terminal and begins with its summary."""
    ran = kratos(name, "--help")
    assert ran.code == 0
    assert root.COMMANDS[name][1] in " ".join(ran.out.split())
    assert max(map(len, ran.out.splitlines())) <= 80


def test_no_command(kratos: Kratos) -> None:
    """Nothing to do is wrong usage, answered with help."""
    ran = kratos()
    assert ran.code == 2
    assert "kratos new shop" in ran.out + ran.err


@pytest.mark.parametrize(
    ("arguments", "said", "suggested"),
    [
        (["versoin"], "kratos has no command 'versoin'", "kratos version"),
        (["versoin", "--json"], "kratos has no command 'versoin'", "kratos version --json"),
        (["xyzzy"], "kratos has no command 'xyzzy'", "kratos --help"),
        (["version", "--jsno"], "--jsno", "kratos version --help"),
        (["--dbug", "version"], "--dbug", "kratos --help"),
    ],
)
def test_wrong_usage(kratos: Kratos, arguments: list[str], said: str, suggested: str) -> None:
    """What cannot be understood is told, with what to type instead; exit code 2."""
    ran = kratos(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.endswith(f"  try: {suggested}\n")


def test_version(kratos: Kratos) -> None:
    """The version, by command and by option, as text and as JSON."""
    assert kratos("version").out == kratos("--version").out == kratos("-v").out == f"kratos version v{__version__}\n"
    assert json.loads(kratos("version", "--json").out)["kratos"] == __version__


@pytest.mark.parametrize(
    ("failure", "code", "said"),
    [
        (Failure("no shop", hint="kratos new shop"), 1, "error: no shop\n  try: kratos new shop\n"),
        (Failure("taken", code=2), 2, "error: taken\n"),
        (click.ClickException("cannot"), 1, "error: cannot\n"),
        (KeyboardInterrupt(), 130, "\n"),
        (click.Abort(), 130, "\n"),
        (ValueError("odd"), 1, "error: ValueError: odd\n  try: kratos --debug … shows where it comes from\n"),
    ],
)
def test_failures(kratos: Kratos, monkeypatch: pytest.MonkeyPatch, failure: Exception, code: int, said: str) -> None:
    """A failure is one line and a hint, never a traceback, with its exit code."""
    fail_with(monkeypatch, failure)
    assert kratos("version") == (code, "", said)


def test_debug(kratos: Kratos, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``--debug`` the traceback comes first."""
    fail_with(monkeypatch, Failure("no shop"))
    ran = kratos("--debug", "version")
    assert ran.code == 1
    assert ran.err.startswith("Traceback")
    assert ran.err.endswith("error: no shop\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(kratos: Kratos, shell: str) -> None:
    """The script asks the program by the variable that the program knows."""
    ran = kratos("completion", shell)
    assert ran.code == 0
    assert f"_KRATOS_COMPLETE={shell}_complete" in ran.out


def test_completes(kratos: Kratos, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands and options are completed."""
    monkeypatch.setenv("_KRATOS_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "kratos ver")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert kratos().out == "plain,version\n"
    monkeypatch.setenv("COMP_WORDS", "kratos version --j")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert kratos().out == "plain,--json\n"


def test_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours are for terminals, and for people who want them."""

    class Terminal:
        def isatty(self) -> bool:
            return True

    stream: object = Terminal()
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert terminal.paint("x", "bad", stream).startswith(COLOUR)  # type: ignore[arg-type]  # all that is asked of it
    monkeypatch.setenv("TERM", "dumb")
    assert terminal.paint("x", "bad", stream) == "x"  # type: ignore[arg-type]  # as above
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.paint("x", "bad", stream) == "x"  # type: ignore[arg-type]  # as above
    monkeypatch.delenv("NO_COLOR")
    assert terminal.paint("x", "bad") == "x"


def test_lines_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long lines are broken between words for a terminal; colours take no room, long words stay whole."""
    red, plain = f"{COLOUR}31m", f"{COLOUR}0m"
    stream: Any = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr(terminal.shutil, "get_terminal_size", lambda: os.terminal_size((10, 5)))
    text = f"ok    a  b c\n\n  {red}aaaa{plain} bbb\n/a/long/path is\nten is fit"
    shown = f"ok    a  b\n  c\n\n  {red}aaaa{plain} bbb\n/a/long/path\n  is\nten is fit"
    assert terminal.wrapped(text, stream) == shown
    assert terminal.wrapped("aa bb cc dd", stream, indent="    ") == "aa bb cc\n    dd"
    assert terminal.wrapped(text, SimpleNamespace(isatty=lambda: False)) == text  # type: ignore[arg-type]  # all that is asked of it


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without click the way to get it is said."""
    monkeypatch.setattr("kratos.tools.cli.__main__.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 1
    assert 'pip install "kratos-py[tools]"' in capsys.readouterr().err


def test_light(tmp_path: Path) -> None:
    """Starting loads no runtime: no event loop, no server, no generator, no package metadata."""
    script = "import sys; from kratos.tools.cli.root import run; run(['version']); run(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    loaded = set(done.stdout.splitlines()[-1].split())
    heavy = {
        "asyncio",
        "grpc",
        "aiohttp",
        "uvicorn",
        "protobuf",
        "jinja2",
        "watchfiles",
        "importlib.metadata",
        "kratos.app",
    }
    assert not heavy & loaded


def test_as_a_program(tmp_path: Path) -> None:
    """Both names are installed, and a closed pipe is no drama."""
    for name in ("kratos", "kratos-py"):
        program = Path(sys.executable).with_name(name)
        done = subprocess.run([program, "version"], capture_output=True, text=True, check=True, cwd=tmp_path)
        assert done.stdout == f"kratos version v{__version__}\n"
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen([program, "--help"], stdout=write, stderr=subprocess.PIPE, text=True) as process:
        os.close(write)
        assert "Traceback" not in process.communicate()[1]
