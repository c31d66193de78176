"""``kratos run``: its words, its environment file, and what it does not accept. Processes are in ``tests/reload``."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest
from commandline import Kratos

from kratos.app import App
from kratos.tools.cli import serving as module
from kratos.tools.cli.envfile import read_env
from kratos.tools.cli.serving import Serving
from kratos.tools.failure import Failure


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("# only a comment\n\n   \n", {}),
        ("A=1\nB = two words \n", {"A": "1", "B": "two words"}),
        ("export A=1", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A= # nothing", {"A": ""}),
        ("A=a#b # c", {"A": "a#b"}),
        ("A='a # b' # c", {"A": "a # b"}),
        (r"A='a\n'", {"A": r"a\n"}),
        (r'A="a\n\"b\" $C \\"', {"A": 'a\n"b" $C \\'}),
        ("A=postgres://u:p@h/d?x=1&y=2", {"A": "postgres://u:p@h/d?x=1&y=2"}),
        ("\ufeffA=ü\r\nB=2\r\n", {"A": "ü", "B": "2"}),
        ("A=1\nA=2", {"A": "2"}),
    ],
)
def test_environment_files(tmp_path: Path, text: str, found: dict[str, str]) -> None:
    """Comments, quotes, ``export``; nothing is substituted; the last line of a name counts."""
    (tmp_path / ".env").write_bytes(text.encode())
    assert read_env(tmp_path / ".env") == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A=1\nB", ":2: this is not KEY=VALUE"),
        ("1A=1", ":1: this is not KEY=VALUE"),
        ("=1", ":1: this is not KEY=VALUE"),
        ("A='a", ":1: the quotes do not end"),
        ('A="a" b', ":1: the quotes do not end"),
    ],
)
def test_wrong_environment_files(tmp_path: Path, text: str, said: str) -> None:
    """A line that cannot be understood is told with its place."""
    (tmp_path / ".env").write_text(text)
    with pytest.raises(Failure) as failure:
        read_env(tmp_path / ".env")
    assert str(failure.value) == f"{tmp_path / '.env'}{said}"


def test_no_environment_file(tmp_path: Path) -> None:
    """Neither is a file that is not there, or not text."""
    with pytest.raises(Failure, match="cannot read .*nothing: No such file"):
        read_env(tmp_path / "nothing")
    (tmp_path / "binary").write_bytes(b"A=\xff")
    with pytest.raises(Failure, match="binary is not UTF-8"):
        read_env(tmp_path / "binary")


def test_over_the_wire() -> None:
    """A child is told exactly what was asked for."""
    serving = Serving(module="a.b", attribute="c", root="/r s", arguments=("ü", "--x"), port=0, debug=True)
    assert Serving.from_json(serving.to_json()) == serving


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "many"], "--port"),
        (["--port", "65536"], "--port"),
        (["--grpc-port", "-1"], "--grpc-port"),
        (["a:b", "c:d"], "c:d"),
        (["shop/main.py"], "is not module:attribute"),
        (["shop:app", "--port", "1"], "--port 1: the app has no HTTP server"),
        (["shop:app", "--grpc-port", "1"], "--grpc-port 1: the app has no gRPC server"),
        (["shop:app", "--admin-port", "1"], "--admin-port 1: the app has no admin server"),
        (["shop:app", "--host", "::1"], "--host ::1: the app has no server that could listen there"),
        (["shop:app", "--env-file", "nothing"], "nothing: No such file"),
        (["shop:other"], "shop has no other"),
        (["shopp:app"], "there is no module shopp"),
    ],
)
def test_wrong_usage(
    kratos: Kratos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    """Nothing is served; exit code 2."""
    (tmp_path / "shop.py").write_text("from kratos import App\napp = App(name='shop')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    ran = kratos("run", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_usage(kratos: Kratos) -> None:
    """The words behind ``--`` are the app's: an option there is none of ours."""
    assert "[OPTIONS] [TARGET] [-- ARGUMENTS...]" in kratos("run", "--help").out
    assert "shop/main.py" in kratos("run", "shop/main.py", "--", "--help").err


@pytest.mark.parametrize(
    ("terminal", "before", "after"),
    [(True, None, "development"), (True, "staging", "staging"), (False, None, None)],
)
def test_development(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool, before: str | None, after: str | None
) -> None:
    """Who looks at a terminal develops, unless the environment says otherwise."""
    monkeypatch.delenv("KRATOS_ENV", raising=False)
    if before:
        monkeypatch.setenv("KRATOS_ENV", before)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    try:
        Serving(module="json", attribute="loads", root=str(tmp_path)).source()
        assert os.environ.get("KRATOS_ENV") == after
    finally:
        os.environ.pop("KRATOS_ENV", None)
        sys.path.remove(str(tmp_path))


async def test_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is configured if the app has not done so."""
    configured: list[str] = []
    monkeypatch.setattr(module, "setup", lambda: configured.append("set up"))
    serving = Serving(module="shop", attribute="app", root=str(tmp_path))
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.NullHandler()])
    await serving.app(App(name="shop"))
    assert configured == []
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    await serving.app(lambda: App(name="shop"))
    assert configured == ["set up"]
