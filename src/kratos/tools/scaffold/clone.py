"""Templates that are somewhere else: whatever git can clone.

Nobody is ever asked anything: git runs without a terminal, so what needs a password and has none fails at once.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

from kratos.tools.failure import USAGE, Failure
from kratos.tools.scaffold.template import Template

__all__ = ["fetched", "is_remote"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SCP = re.compile(r"(?:[\w.~+-]+@)?(?P<host>[\w.-]+):(?!//)(?P<path>.+)")
_BARE_HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?::\d+)?/[^/]+/.+")  # an address without https://
_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):[^/@\s]+(?=@)")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]|\x1b\[[0-9;]*[A-Za-z]")
_LAST_WORDS = 4

_PROTOCOLS: Final = "file:ftp:ftps:git:http:https:ssh"  # not ext, which runs what the address says
_FOREIGN: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR",
                   "GIT_NAMESPACE", "GIT_PREFIX", "SSH_ASKPASS")  # fmt: skip


def is_remote(reference: str) -> bool:
    """Tells whether a template has to be cloned: an address, or ``git@host:owner/name.git``."""
    return bool(_URL.match(reference) or _SCP.fullmatch(reference))


@contextmanager
def fetched(reference: str, *, branch: str = "", timeout: float = 60.0) -> Generator[Template, None, None]:
    """Finds a template: a folder as it stands, a repository as it is cloned.

    A folder that is a repository is cloned if a branch is asked for, or if it has no working tree.

    Args:
        reference: A folder, or what git can clone.
        branch: A branch or tag; the repository's own choice if empty.
        timeout: How many seconds a clone may take.

    Raises:
        Failure: There is no such template; git's own words are in the message.
    """
    _check(reference, branch)
    folder = Path(reference).expanduser()
    if folder.is_dir():
        bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir()
        if not branch and not bare:
            yield Template.at(folder)
            return
        reference = folder.resolve().as_uri()  # as an address even a neighbour is cloned shallowly
    elif not is_remote(reference):
        hint = f"https://{reference}" if _BARE_HOST.fullmatch(reference) else ""
        raise Failure(
            f"there is no template {reference}: it is neither a folder nor an address of git",
            hint=hint and f"--template {hint}",
            code=USAGE,
        )
    with tempfile.TemporaryDirectory(prefix="kratos-", ignore_cleanup_errors=True) as scratch:
        clone = Path(scratch) / "template"
        _clone(_at_home(reference), clone, branch, timeout)
        yield Template.at(clone, layout=_masked(reference) + (f"@{branch}" if branch else ""))


def _check(reference: str, branch: str) -> None:
    """Refuses what git would take for an option of its own, or of ssh."""
    host = _URL.sub("", reference).rpartition("@")[2] if _URL.match(reference) else reference
    if reference.startswith("-") or host.startswith("-") or "::" in reference.partition("/")[0]:
        raise Failure(f"{reference!r} is no template", hint="kratos new --help", code=USAGE)
    if branch.startswith("-"):
        raise Failure(f"{branch!r} is no branch", hint="kratos new --help", code=USAGE)


def _at_home(reference: str) -> str:
    """Returns ``file://~/x`` with the home folder in it: git leaves it as it is."""
    if reference.startswith("file://~/"):
        return f"{Path.home().as_uri()}/{reference.removeprefix('file://~/')}"
    return reference


def _clone(address: str, into: Path, branch: str, timeout: float) -> None:
    git = shutil.which("git")
    if git is None:
        raise Failure(f"{_masked(address)} has to be cloned, and git is not installed")
    wanted = [f"--branch={branch}"] if branch else []
    command = [git, "clone", "--quiet", "--depth=1", "--no-tags", *wanted, "--", address, str(into)]
    # Of a session of its own it has no terminal to ask on, and can be ended together with its ssh.
    with _Held() as ctrl_c, subprocess.Popen(  # noqa: S603 - the arguments are checked, without a shell
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        errors="replace", env=_environment(), start_new_session=True,
    ) as process:  # fmt: skip
        try:
            ctrl_c.let_go()
            _, said = process.communicate(timeout=timeout)
        except BaseException as interruption:
            _end(process)
            if not isinstance(interruption, subprocess.TimeoutExpired):
                raise
            raise Failure(
                f"{_masked(address)} was not cloned within {timeout:g} s", hint="--timeout 5m gives it more time"
            ) from None
    if process.returncode != 0:
        raise Failure(f"cannot clone {_masked(address)}: {_last_words(said) or 'git does not say why'}")


class _Held:
    """Ctrl-C, held back from here to ``let_go``: before it is known what to end, git would be left behind."""

    def __init__(self) -> None:
        self._came = False
        self._before: Any = None

    def __enter__(self) -> Self:
        is_main = threading.current_thread() is threading.main_thread()  # no other thread is interrupted
        if is_main and signal.getsignal(signal.SIGINT) is not None:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()

    def let_go(self) -> None:
        """Lets it through again, and first the one that came meanwhile."""
        before, self._before = self._before, None
        if before is None:
            return
        signal.signal(signal.SIGINT, before)
        if self._came:
            signal.raise_signal(signal.SIGINT)

    def _note(self, *_: object) -> None:
        self._came = True


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS_REQUIRE": "never", "GCM_INTERACTIVE": "never"}
    return {**environment, **quiet, "GIT_ALLOW_PROTOCOL": _PROTOCOLS, "GIT_LFS_SKIP_SMUDGE": "1"}


def _end(process: subprocess.Popen[str]) -> None:
    """Ends git and what it has started, after some time for it to clean up."""
    for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        with suppress(OSError):  # it ended just now
            if hasattr(os, "killpg"):
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=2)
            return


def _last_words(said: str) -> str:
    lines = [line for line in (_CONTROL.sub("", line).strip() for line in said.splitlines()) if line]
    return _masked("\n  ".join(lines[-_LAST_WORDS:]))


def _masked(text: str) -> str:
    """Returns text without the passwords of addresses."""
    return _PASSWORD.sub(r"\1:***", text)
