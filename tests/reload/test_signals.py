"""``kratos run``, with and without ``--reload``, ends when it is told to, and leaves nobody behind."""

from __future__ import annotations

import signal

import pytest

from .conftest import Run, gone


@pytest.mark.parametrize("reloads", [True, False], ids=["reload", "plain"])
def test_interrupt(run: Run, reloads: bool) -> None:
    """Ctrl-C reaches the whole group; everybody drains, exit code 0, no traceback."""
    running = run("--reload") if reloads else run()
    running.serving()
    pid = running.hello()["pid"]
    running.signal(signal.SIGINT, group=True)
    assert running.end() == 0
    assert gone(pid)
    assert running.count("Traceback") == running.count("error") == running.count("Error") == 0
    assert running.count("waiting for a change") == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_ended(run: Run, number: signal.Signals) -> None:
    """So do SIGTERM to the supervisor, and a terminal that is closed."""
    running = run("--reload")
    running.serving()
    pid = running.hello()["pid"]
    running.signal(number, group=number is signal.SIGHUP)
    assert running.end() == 0
    assert gone(pid)
    assert running.count("Traceback") == 0


def test_ended_with_a_stream(run: Run) -> None:
    """An open stream does not hold the end up."""
    running = run("--reload")
    running.serving()
    connection = running.connect()
    connection.request("GET", "/follow/me", headers={"accept": "text/event-stream"})
    connection.getresponse().fp.readline()
    running.signal(signal.SIGINT, group=True)
    assert running.end() == 0
    connection.close()


def test_killed(run: Run) -> None:
    """A supervisor that is killed takes its child along: serving, or still loading."""
    running = run("--reload")
    running.serving()
    pid = running.hello()["pid"]
    running.write("shop/words.py", "import time\nopen('loading', 'w').close()\ntime.sleep(3600)\n")
    while not (running.root / "loading").exists():
        running.wait("words.py changed")
    running.signal(signal.SIGKILL)
    assert running.end() == -signal.SIGKILL  # stderr has ended too: there is no child that holds it
    assert gone(pid)


def test_interrupted_while_loading(run: Run) -> None:
    """Ctrl-C does not wait for an import."""
    running = run("--reload")
    running.serving()
    running.write("shop/words.py", "import time\nopen('loading', 'w').close()\ntime.sleep(3600)\n")
    while not (running.root / "loading").exists():
        running.wait("words.py changed")
    running.signal(signal.SIGINT, group=True)
    assert running.end() == 0
    assert running.count("Traceback") == 0


def test_interrupted_twice(run: Run) -> None:
    """The second Ctrl-C does not wait for a hook that does."""
    running = run("--reload")
    running.serving()
    running.edit(
        "shop/main.py", "    # hook ends", "    open('leaving', 'w').close()\n    __import__('time').sleep(3600)"
    )
    running.wait("serving again")
    running.signal(signal.SIGINT, group=True)
    while not (running.root / "leaving").exists():
        running.wait("serving again")
    running.signal(signal.SIGINT, group=True)
    assert running.end() == 130
    assert running.count("Traceback") == 0
