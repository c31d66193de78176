"""``kratos run --reload``: what is saved is served, what is broken is told, and nothing else happens."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from .conftest import MAIN, PROTO, Run, gone

AGAIN = "reload: serving again after"
KEPT = "reload: kept the old version: "


def test_code(run: Run) -> None:
    """An edit is served at the same ports; both servers would have taken any."""
    running = run("--reload")
    running.serving()
    first = running.hello()
    assert first["message"] == "Hello kratos"
    running.edit("shop/words.py", "Hello", "Hi")
    running.wait(AGAIN)
    second = running.hello()
    assert second["message"] == "Hi kratos"
    assert second["pid"] != first["pid"]
    assert gone(first["pid"])
    assert running.count("reload: shop/words.py changed") == 1
    assert running.count("stop: Ctrl-C") == 1


def test_saves_within_a_second(run: Run) -> None:
    """Byte code does not hide an edit that leaves size and second alone."""
    running = run("--reload")
    running.serving()
    for times, word in enumerate(["Salve", "Salut", "Haloo", "Olala"], 1):
        path = running.root / "shop" / "words.py"
        path.write_text(f'GREETING = "{word}"\n')
        os.utime(path, (1e9, 1e9))
        running.wait(AGAIN, times)
        assert running.message() == f"{word} kratos"


def test_proto(run: Run) -> None:
    """A new field is generated, and served as soon as the code fills it in; both saved at once are one reload."""
    running = run("--reload")
    running.serving()
    running.edit("api/shop/v1/greeter.proto", "  int32 pid = 2;", "  int32 pid = 2;\n  string extra = 3;")
    running.wait(AGAIN)
    assert running.hello()["extra"] == ""
    running.edit("api/shop/v1/greeter.proto", "extra = 3;", "extra = 3;\n  string more = 4;")
    running.edit("shop/main.py", "pid=os.getpid()", "more='yes'")
    running.wait(AGAIN, 2)
    assert running.hello()["more"] == "yes"
    running.write("shop/words.py", 'GREETING = "Done"\n')
    running.wait(AGAIN, 3)
    assert running.count(AGAIN) == 3


def test_a_proto_that_says_the_same(run: Run) -> None:
    """Where no code differs, nothing is restarted."""
    running = run("--reload")
    running.serving()
    before = running.hello()["pid"]
    running.edit("api/shop/v1/greeter.proto", "service Greeter", "\n\nservice Greeter")
    running.wait("reload: the generated code is the same")
    assert running.hello()["pid"] == before


def test_a_broken_proto(run: Run) -> None:
    """Each place is told, the old version answers, and the fix is all it takes."""
    running = run("--reload")
    running.serving()
    running.edit("api/shop/v1/greeter.proto", "int32 pid", "int33 pid")
    line = PROTO.splitlines().index("  int32 pid = 2;") + 1
    said = running.wait(KEPT)
    assert re.search(rf"api/shop/v1/greeter\.proto:{line}:3: ", said)
    assert running.message() == "Hello kratos"
    running.edit("api/shop/v1/greeter.proto", "int33 pid", "int64 pid")
    running.wait(AGAIN)
    assert isinstance(running.hello()["pid"], str)  # as JSON has 64 bits


def test_broken_code(run: Run) -> None:
    """A syntax error, a failing import and a wiring error are told with their place; the old version answers."""
    running = run("--reload")
    running.serving()
    running.write("shop/words.py", "GREETING = (\n")
    assert f"{KEPT}shop/words.py:1:12: SyntaxError" in running.wait(KEPT)
    assert running.message() == "Hello kratos"
    running.write("shop/words.py", "import shop.wrods\n")
    assert f"{KEPT}shop/words.py:1: ModuleNotFoundError" in running.wait(KEPT, 2)
    running.write("shop/words.py", "raise SystemExit('no words')\n")
    assert f"{KEPT}no words" in running.wait(KEPT, 3)
    running.write("shop/words.py", 'GREETING = "Hi"\n')
    running.edit("shop/main.py", "services=[Greeter()]", "services=[Greeter(), Greeter()]")
    place = MAIN.splitlines().index("    return App(") + 1
    assert re.search(rf"{KEPT}shop/main\.py:{place}: ValueError: ", running.wait(KEPT, 4))
    assert running.message() == "Hello kratos"
    running.edit("shop/main.py", "services=[Greeter(), Greeter()]", "services=[Greeter()]")
    running.wait(AGAIN)
    assert running.message() == "Hi kratos"
    assert running.count("Traceback") == 0


def test_a_hook_that_fails(run: Run) -> None:
    """It fails beside the old version, which goes on."""
    running = run("--reload")
    running.serving()
    before = running.hello()["pid"]
    running.edit("shop/main.py", "    # hook begins", "    1 / 0")
    place = MAIN.splitlines().index("    # hook begins") + 1
    assert f"{KEPT}shop/main.py:{place}: ZeroDivisionError" in running.wait(KEPT)
    assert running.hello()["pid"] == before


def test_a_hook_that_fails_on_the_way_out(run: Run) -> None:
    """It is told, and holds nobody up."""
    running = run("--reload")
    running.serving()
    running.edit("shop/main.py", "    # hook ends", "    1 / 0")
    running.wait(AGAIN)
    running.edit("shop/main.py", "    1 / 0", "    # hook ends")
    running.wait(AGAIN, 2)
    assert "ZeroDivisionError" in running.wait("reload: while stopping: shop/main.py:")


def test_an_open_stream(run: Run) -> None:
    """Streams of events end and do not hold the new version up."""
    running = run("--reload")
    running.serving()
    connection = running.connect()
    connection.request("GET", "/follow/me", headers={"accept": "text/event-stream"})
    reply = connection.getresponse()
    assert b"Hello me" in reply.fp.readline() + reply.fp.readline() + reply.fp.readline()
    running.edit("shop/words.py", "Hello", "Hi")
    running.wait(AGAIN)
    assert running.message() == "Hi kratos"
    assert b"SERVER_STOPPING" in reply.fp.read()
    connection.close()
    assert running.count("was killed") == 0


def test_how_editors_save(run: Run) -> None:
    """Renaming, deleting first, backups: one reload each. What changes no content is none."""
    running = run("--reload")
    running.serving()
    words = running.root / "shop" / "words.py"
    times = 0

    def saved(word: str) -> None:
        nonlocal times
        times += 1
        running.wait(AGAIN, times)
        assert running.message() == f"{word} kratos"

    for _ in range(20):
        for path in running.root.rglob("*.py"):
            path.touch()
    (running.root / "shop" / "4913").write_text("")
    (running.root / "shop" / "4913").unlink()
    os.rename(words, f"{words}~")  # Vim
    words.write_text('GREETING = "Vim"\n')
    Path(f"{words}~").unlink()
    saved("Vim")
    (words.parent / ".words.py.swp").write_text("binary")
    fresh = words.with_suffix(".py.tmp.123")  # most others
    fresh.write_text('GREETING = "Code"\n')
    os.replace(fresh, words)
    saved("Code")
    words.unlink()
    words.write_text("")
    words.write_text('GREETING = "Other"\n')
    saved("Other")
    for number in range(200):  # git checkout
        (running.root / "shop" / f"more{number}.py").write_text(f"x = {number}\n")
    words.write_text('GREETING = "Git"\n')
    saved("Git")
    words.write_text('GREETING = "Last"\n')
    saved("Last")
    assert (running.count(" changed"), running.count(AGAIN), running.count(KEPT)) == (5, 5, 0)


def test_what_is_not_watched(run: Run) -> None:
    """What tools write reloads nothing; a new package does as soon as it is there."""
    running = run("--reload")
    running.serving()
    for name in (".venv/x.py", "env/x.py", "node_modules/x.json", "dist/x.py", "shop/gen/x.py", "shop/notes.md"):
        (running.root / name).parent.mkdir(exist_ok=True)
        if name.startswith("env"):
            (running.root / "env" / "pyvenv.cfg").touch()
        running.write(name, "x = 1")
    (running.root / "shop" / "build").mkdir()
    running.write("shop/build/__init__.py", "WORD = 'Built'\n")
    running.wait(AGAIN)
    running.write("shop/words.py", "from shop.build import WORD as GREETING\n")
    running.wait(AGAIN, 2)
    running.write("shop/build/__init__.py", "WORD = 'Rebuilt'\n")
    running.wait(AGAIN, 3)
    assert running.message() == "Rebuilt kratos"
    changed = [line for line in running.said if line.endswith(" changed")]
    assert changed == [
        "reload: shop/build/__init__.py changed",
        "reload: shop/words.py changed",
        "reload: shop/build/__init__.py changed",
    ]


def test_the_newest_wins(run: Run) -> None:
    """What is saved while a new version gets ready replaces it."""
    running = run("--reload")
    running.serving()
    running.write("shop/words.py", "import time\nprint('slow', flush=True)\ntime.sleep(3600)\n")
    running.wait("words.py changed")
    running.write("shop/words.py", 'GREETING = "Newest"\n')
    running.wait(AGAIN)
    assert running.message() == "Newest kratos"


def test_a_hook_that_waits(run: Run) -> None:
    """The same where hooks are being entered: what they began is undone."""
    running = run("--reload")
    running.serving()
    wait = "    try:\n        await asyncio.sleep(3600)\n    finally:\n        open('undone', 'w').close()"
    running.edit("shop/main.py", "    # hook begins", f"    open('begun', 'w').close()\n{wait}")
    while not (running.root / "begun").exists():
        running.wait("main.py changed")
    running.write("shop/main.py", MAIN)
    running.wait(AGAIN)
    assert (running.root / "undone").exists()


def test_a_first_start_that_fails(run: Run, project: Path) -> None:
    """It waits for the fix, and generates what is missing."""
    (project / "shop" / "words.py").write_text("1 / 0\n")
    running = run("--reload")
    assert "reload: cannot serve: shop/words.py:1: ZeroDivisionError" in running.wait("cannot serve")
    running.wait("reload: waiting for a change")
    running.write("shop/words.py", 'GREETING = "Hi"\n')
    running.serving()
    assert running.message() == "Hi kratos"


def test_a_crash(run: Run) -> None:
    """A process that ends is not started again before something has changed."""
    running = run("--reload")
    running.serving()
    connection = running.connect()
    connection.request("GET", "/hello/crash")
    running.wait("reload: the process ended with exit code 3; waiting for a change")
    connection.close()
    running.edit("shop/words.py", "Hello", "Hi")
    running.wait(AGAIN)
    pid = running.hello()["pid"]
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)
    running.wait("reload: the process was ended by SIGKILL; waiting for a change")


def test_a_process_that_is_stuck(run: Run) -> None:
    """It is killed, and the new version serves."""
    running = run("--reload")
    running.serving()
    running.edit("shop/words.py", "Hello", "Hi")
    running.edit("shop/main.py", "os._exit(3)", "__import__('time').sleep(3600)")
    running.wait(AGAIN)
    connection = running.connect()
    connection.request("GET", "/hello/crash")
    running.edit("shop/words.py", "Hi", "Hej")
    running.wait("was killed")
    running.wait(AGAIN, 2)
    connection.close()
    assert running.message() == "Hej kratos"
