"""``kratos run``: the app of the project, its addresses, its arguments, its environment."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
from killable import free_port

from .conftest import Run


@pytest.mark.parametrize("reloads", [[], ["--reload"]], ids=["plain", "reload"])
@pytest.mark.parametrize("target", ["shop.main:app", "shop.main:make", "shop.main:factory"])
def test_targets(run: Run, target: str, reloads: list[str]) -> None:
    """An app, a function and an async factory; arguments are the app's own."""
    running = run(target, *reloads, "--", "--conf", "a b", "--reload")
    running.serving()
    assert running.message("arguments") == "shop.main --conf a b --reload"


def test_addresses(run: Run) -> None:
    """Host and ports are what the command line says."""
    http, grpc = free_port(), free_port()
    running = run("--host", "localhost", "--port", str(http), "--grpc-port", str(grpc))
    running.serving()
    assert running.url() == f"http://localhost:{http}"
    assert running.url("grpc") == f"grpc://localhost:{grpc}"
    assert running.message() == "Hello kratos"


def test_environment(run: Run, project: Path) -> None:
    """A file sets variables, wherever it lies; what is set already wins. It is followed like code."""
    (project.parent / "shop.env").write_text("# ours\nexport SHOP='from the file'\n")
    arguments = ("--env-file", "../shop.env")
    running = run(*arguments, env={"SHOP": "from outside"})
    running.serving()
    assert running.message("environment") == "from outside"
    running = run("--reload", *arguments)
    running.serving()
    assert running.message("environment") == "from the file"
    (project.parent / "shop.env").write_text("SHOP = again # and again\n")
    running.wait("serving again")
    assert running.message("environment") == "again"


def test_a_taken_port(run: Run) -> None:
    """It is told in a line, with exit code 1; with reload the next change tries again."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        running = run("--port", port)
        assert running.end() == 1
        assert running.said[0].startswith(f"error: cannot listen on 127.0.0.1:{port}: ")
        assert running.said[-1] == "  try: kratos run --port 0 --grpc-port 0"
        assert running.count("Traceback") == 0
        running = run("--reload", "--port", port)
        running.wait(f"reload: cannot serve: cannot listen on 127.0.0.1:{port}: ")
        running.wait("waiting for a change")
    running.edit("shop/words.py", "Hello", "Hi")
    running.serving()
    assert running.message() == "Hi kratos"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("shop/words.py", "1 / 0\n", "error: shop/words.py:1: ZeroDivisionError: division by zero"),
        ("shop/words.py", "import nowhere\n", "error: shop/words.py:1: ModuleNotFoundError: "),
        ("shop/words.py", "raise SystemExit('no words')\n", "no words"),
    ],
)
def test_what_fails(run: Run, project: Path, name: str, text: str, said: str) -> None:
    """A line with the place, exit code 1; the traceback on demand."""
    (project / name).write_text(text)
    running = run()
    assert running.end() == 1
    assert running.said[0].startswith(said)
    assert running.count("Traceback") == 0


def test_a_hook_that_fails(run: Run, project: Path) -> None:
    """On the way in and on the way out."""
    main = project / "shop" / "main.py"
    text = main.read_text()
    main.write_text(text.replace("    # hook begins", "    open('/nothing/there')"))
    running = run()
    assert running.end() == 1
    assert "FileNotFoundError" in running.said[0]
    assert running.said[0].startswith("error: shop/main.py:")
    main.write_text(text.replace("    # hook ends", "    1 / 0"))
    running = run()
    running.serving()
    running.signal(signal.SIGTERM)
    assert running.end() == 1
    assert "ZeroDivisionError" in running.wait("error: shop/main.py:")


def test_from_a_folder_inside(project: Path, run: Run) -> None:
    """The current folder may be anywhere in the project: what lies in it hides no module of the standard library."""
    (project / "shop" / "logging.py").write_text("raise RuntimeError('not me')\n")
    for flags in ([], ["--reload"]):
        running = run(*flags, cwd="shop")
        running.serving()
        assert running.message() == "Hello kratos"
