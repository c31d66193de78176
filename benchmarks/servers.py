"""The servers that are measured, programs of ``peers``: each in processes of its own, and what they use."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from peers.kratos_go import built

__all__ = ["PEERS", "Fleet", "Program", "Server", "cpu_seconds", "fleet", "named", "resident", "started"]

PEERS = Path(__file__).parent / "peers"
INSTALL = "pip install --group bench"


@dataclass(frozen=True)
class Program:
    """How a server is started.

    Attributes:
        name: What tables call it.
        script: A file of ``peers``; empty for the one in Go.
        arguments: What it is called with.
        needs: The distributions it stands on; it is left out where one is not installed.
        port: Which of the ports it prints is asked.
        ours: Whether it is ours or a peer.
    """

    name: str
    script: str = ""
    arguments: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    port: str = "http"
    ours: bool = False


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        program: What it is.
        pid: Its process, which leads a group of its own.
        port: Where it listens.
    """

    program: Program
    pid: int
    port: int


@dataclass
class Fleet:
    """All servers of a run, alive from beginning to end.

    Attributes:
        folder: For what they log and what is sent to them.
        servers: The servers that run.
        absent: A sentence for each that does not.
        versions: Of what they are made of.
    """

    folder: Path
    servers: list[Server] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)


@contextmanager
def fleet(programs: Iterable[Program]) -> Iterator[Fleet]:
    """Starts what can be started and ends it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        group = Fleet(folder)
        used: list[Program] = []
        for program in programs:
            if program.script:
                missing = [each for each in program.needs if not _installed(each)]
                if missing:
                    group.absent.append(f"{program.name} is left out: no {' and '.join(missing)} ({INSTALL}).")
                    continue
                used.append(program)
                command = [sys.executable, str(PEERS / program.script), *program.arguments]
            else:
                go = built()
                if go is None:
                    group.absent.append(f"{program.name} is left out: there is no Go (https://go.dev/dl).")
                    continue
                group.versions.append(go[1])
                command = [str(go[0])]
            group.servers.append(stack.enter_context(started(program, command, folder)))
        group.versions = list(dict.fromkeys([*named(*used), *group.versions]))
        yield group


@contextmanager
def started(program: Program, command: list[str], folder: Path) -> Iterator[Server]:
    """Runs a server until the block is left; what it logs goes to a file."""
    log = folder / f"{program.name.replace('/', '-')}.log"
    with log.open("w") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own programs
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "GOMAXPROCS": "1"},
            text=True,
            start_new_session=True,  # so that what it starts itself ends with it
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                sys.exit(f"{program.name} did not start:\n{log.read_text()}")
            yield Server(program, process.pid, json.loads(line)[program.port])
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def cpu_seconds(pid: int) -> float:
    """Returns the CPU time of a server: of its process and those below it, over all their threads."""
    total = 0
    for fields in _family(pid).values():
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Returns the memory of a server in MiB: of its process and those below it."""
    pages = sum(int(fields[21]) for fields in _family(pid).values())
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def named(*programs: Program) -> list[str]:
    """Returns the versions of Python and of all that programs stand on."""
    needs = dict.fromkeys(each for program in programs for each in program.needs)
    return [f"CPython {platform.python_version()}", *(f"{each} {version(each)}" for each in needs)]


def _family(pid: int) -> dict[int, list[str]]:
    """Returns what the kernel says of the processes in a server's group, which it leads."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
            continue
        fields = text.rpartition(")")[2].split()
        if int(fields[2]) == pid:
            found[int(stat.parent.name)] = fields
    assert found, f"process {pid} has ended"
    return found


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
