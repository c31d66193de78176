"""Templates that git brings: what it is asked for, what it can never be asked for, and how it fails."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kratos.tools.failure import FAILED, USAGE, Failure
from kratos.tools.scaffold.clone import fetched, is_remote

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the git of these tests is a script")

Git = Callable[..., str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without settings."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a tag and two commits."""
    folder = tmp_path / "a template"

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)

    folder.mkdir()
    git("init", "--quiet", "--initial-branch=main")
    (folder / "a").write_text("old")
    git("add", ".")
    git("commit", "--quiet", "-m", "one")
    git("tag", "v1")
    (folder / "a").write_text("new")
    git("commit", "--quiet", "-a", "-m", "two")
    return folder


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, list[str]]]:
    """A git that only writes down how it was called."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    log = tmp_path / "called"
    script = bin_ / "git"
    script.write_text(
        f"#!{sys.executable}\n"
        "import json, os, pathlib, sys\n"
        f"said = {{'argv': sys.argv[1:], 'env': sorted(f'{{k}}={{v}}' for k, v in os.environ.items())}}\n"
        f"pathlib.Path({str(log)!r}).write_text(json.dumps(said))\n"
        "os.makedirs(sys.argv[-1]); open(sys.argv[-1] + '/a', 'w').close()\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_))

    def read() -> dict[str, list[str]]:
        called: dict[str, list[str]] = json.loads(log.read_text()) if log.exists() else {}
        return called

    return read


@pytest.mark.parametrize(
    "address",
    [
        "ssh://git@github.com:7875/go-kratos/kratos.git",
        "git://github.com:7875/go-kratos/kratos.git",
        "https://github.com:7875/go-kratos/kratos.git",
        "https://user:secret@github.com/go-kratos/kratos.git",
        "ftps://github.com:7875/go-kratos/kratos.git",
        "git@github.com:go-kratos/kratos.git",
        "github.com:go-kratos/kratos.git",
        "file:///go-kratos/kratos.git",
    ],
)
def test_addresses(recorded: Callable[[], dict[str, list[str]]], address: str) -> None:
    """Every form of address is git's to understand, and cannot be taken for an option."""
    assert is_remote(address)
    with fetched(address, branch="v2.x") as template:
        assert template.layout == address.replace("secret", "***") + "@v2.x"
        assert [path for _, path in template.files()] == [Path("a")]
    *options, dashes, asked, _ = recorded()["argv"]
    assert (dashes, asked) == ("--", address)
    assert options == ["clone", "--quiet", "--depth=1", "--no-tags", "--branch=v2.x"]


def test_home(recorded: Callable[[], dict[str, list[str]]], home: Path) -> None:
    """A tilde is the home folder, in addresses too."""
    with fetched("file://~/go-kratos/kratos.git"):
        assert recorded()["argv"][-2] == f"{home.as_uri()}/go-kratos/kratos.git"
    (home / "mine").mkdir()
    (home / "mine" / "a").touch()
    with fetched("~/mine") as template:
        assert (template.layout, template.folders) == ("mine", (home / "mine",))


def test_nobody_is_asked(recorded: Callable[[], dict[str, list[str]]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Git cannot ask for anything, and works on no repository but its own."""
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setenv("SSH_ASKPASS", "ask")
    with fetched("https://example.com/x.git"):
        environment = set(recorded()["env"])
    assert {"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS_REQUIRE=never"} <= environment
    assert not [each for each in environment if each.startswith(("GIT_DIR=", "SSH_ASKPASS="))]


@pytest.mark.parametrize(
    ("reference", "branch"),
    [
        ("--upload-pack=touch x", ""),
        ("-x", ""),
        ("ext::sh -c touch% x", ""),
        ("ssh://-oProxyCommand=touch x/y", ""),
        ("ssh://git@-oProxyCommand=touch x/y", ""),
        ("https://example.com/x.git", "--upload-pack=touch x"),
    ],
)
def test_options_are_no_addresses(recorded: Callable[[], dict[str, list[str]]], reference: str, branch: str) -> None:
    """What git or ssh would take for an option does not reach them."""
    with pytest.raises(Failure, match=r"is no (template|branch)") as failure, fetched(reference, branch=branch):
        pass
    assert failure.value.code == USAGE
    assert not recorded()


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("nothing", ""),
        ("./nothing", ""),
        ("github.com/go-kratos/kratos", "--template https://github.com/go-kratos/kratos"),
    ],
)
def test_no_such_template(reference: str, hint: str) -> None:
    """What is neither a folder nor an address is told so, with what was meant."""
    with pytest.raises(Failure, match="neither a folder nor an address") as failure, fetched(reference):
        pass
    assert (failure.value.code, failure.value.hint) == (USAGE, hint)


def test_folders_and_repositories(repository: Path) -> None:
    """A folder is taken as it stands; with a branch, or without a working tree, it is cloned."""
    (repository / "a").write_text("not yet committed")
    bare = repository.with_name("bare.git")
    subprocess.run(["git", "clone", "--quiet", "--bare", repository, bare], check=True, capture_output=True)
    wanted = {
        (str(repository), ""): "not yet committed",
        (str(repository), "main"): "new",
        (str(repository), "v1"): "old",
        (str(bare), ""): "new",
        (repository.as_uri(), "v1"): "old",
    }
    for (reference, branch), content in wanted.items():
        with fetched(reference, branch=branch) as template:
            ((folder, path),) = template.files()
            assert (folder / path).read_text() == content
        assert folder == repository or not folder.exists()


def test_clone_fails(repository: Path) -> None:
    """Git's last words are the message."""
    wrong = fetched(repository.as_uri(), branch="nothing")
    with pytest.raises(Failure, match="Remote branch nothing not found") as failure, wrong:
        pass
    assert failure.value.code == FAILED


def test_passwords_stay_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the address nor git's own words show a password, and no escape sequence reaches the terminal."""
    script = tmp_path / "git"
    script.write_text("#!/bin/sh\nprintf '\\n\\033[31mremote: no %s\\a\\n' \"$*\" >&2\nexit 128\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(Failure) as failure, fetched("https://me:secret@example.com/x.git"):
        pass
    assert "remote: no" in str(failure.value)
    assert "me:***@example.com" in str(failure.value)
    assert "secret" not in str(failure.value)
    assert str(failure.value).replace("\n", "").isprintable()


def test_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git it is said that git is missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failure, match="git is not installed"), fetched("https://example.com/x.git"):
        pass


def test_time_is_limited() -> None:
    """A server that says nothing is not waited for."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"git://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(Failure, match=r"not cloned within 0\.3 s") as failure, fetched(address, timeout=0.3):
            pass
    assert (failure.value.code, failure.value.__cause__) == (FAILED, None)


@pytest.mark.parametrize("fails", [False, True])
def test_interrupted_while_git_starts(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    """Ctrl-C between git's start and the word of it ends git too, and is not lost if git cannot be started."""
    started: list[subprocess.Popen[str]] = []

    class Popen(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            if fails:
                signal.raise_signal(signal.SIGINT)
                raise PermissionError("git")
            super().__init__(*arguments, **options)
            started.append(self)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    before = signal.getsignal(signal.SIGINT)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"git://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(KeyboardInterrupt), fetched(address, timeout=60):
            pass
    ended = [process.returncode is not None for process in started]
    for process in started:
        process.kill()
        process.communicate(timeout=60)
    assert ended == ([] if fails else [True])
    assert signal.getsignal(signal.SIGINT) is before


class _Locked(BaseHTTPRequestHandler):
    """A host that wants a password."""

    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(base64.b64encode((self.headers["Authorization"] or "").encode()).decode())
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def locked() -> Iterator[str]:
    """The address of a repository that nobody may see."""
    _Locked.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Locked) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/x.git"
        server.shutdown()
        thread.join()


def test_password_wanted(locked: str) -> None:
    """A host that asks for a password gets none, and nobody is asked for it."""
    with pytest.raises(Failure, match="terminal prompts disabled"), fetched(locked, timeout=20):
        pass
    assert _Locked.seen
