"""Connect's conformance suite: the program that judges, and its contract as Python.

Both come from the Go module that ``go/go.mod`` names: the program is built from it, and the protos are generated from
its folder into a package that git ignores. Nothing of it is in the repository.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from interop.peer import built, said
from kratos.tools.codegen.project import Project, generate

HERE = Path(__file__).parent
SECONDS = 100.0
"""How long one run may take; each takes some ten seconds."""

SERVER = "interop.connect.serving"
CLIENT = "interop.connect.calling"

_MODULE = "connectrpc.com/conformance"
_STAGED = ".kratos/suite"


def build() -> Path:
    """Returns the path of the program; builds it if it is not there yet, and generates the package of its contract.

    Raises:
        RuntimeError: It does not compile, or what it needs cannot be downloaded.
    """
    _generate()

    def make(_folder: Path, made: Path) -> None:
        said("go", "build", "-trimpath", "-o", str(made), f"{_MODULE}/cmd/connectconformance", cwd=HERE / "go")

    return built("connect", sorted((HERE / "go").iterdir()), "", make)


def _generate() -> None:
    said("go", "mod", "download", _MODULE, cwd=HERE / "go")
    source = Path(said("go", "list", "-m", "-f", "{{.Dir}}", _MODULE, cwd=HERE / "go").strip()) / "proto"
    for proto in source.rglob("*.proto"):
        staged = HERE / _STAGED / proto.relative_to(source)
        if not staged.exists() or staged.read_bytes() != proto.read_bytes():
            staged.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(proto, staged)  # without its mode: files of Go's module cache are read-only
    generate(Project(HERE, protos=(_STAGED,), out="gen", line_length=120))


@dataclass(frozen=True)
class Run:
    """One run of the suite.

    Attributes:
        name: What is judged: its configuration, and the lists of what is known of it, are called so.
        program: The module of the program under test.
        only: The cases that run; empty is all.
        skip: Those that do not.
    """

    name: str
    program: str
    only: str = ""
    skip: str = ""

    def options(self) -> list[str]:
        """Returns what the suite is told."""
        aside = ".aside" if self.only else ""
        options = [
            "--mode",
            "client" if self.program == CLIENT else "server",
            "--conf",
            str(HERE / f"{self.name}.yaml"),
        ]
        for option, folder in (("--known-failing", "known"), ("--known-flaky", "flaky")):
            patterns = HERE / folder / f"{self.name}{aside}.txt"
            if patterns.exists():
                options += [option, f"@{patterns}"]
        for option, pattern in (("--run", self.only), ("--skip", self.skip)):
            if pattern:
                options += [option, pattern]
        return options


def judge(program: Path, run: Run) -> tuple[int, str]:
    """Lets the suite judge one of our programs.

    Args:
        program: What judges, see ``build``.
        run: What is judged.

    Returns:
        The exit code, and all that was said.

    Raises:
        TimeoutError: It took too long.
    """
    under_test = [sys.executable, "-m", run.program, *([] if run.program == CLIENT else [run.name])]
    process = subprocess.Popen(
        [program, *run.options(), "-v", "--", *under_test], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(HERE.parent.parent), "PYTHONWARNINGS": "error", "NO_PROXY": "*"},
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the programs under test are its children
        output, _ = process.communicate()
        raise TimeoutError(f"the suite did not end within {SECONDS:g} s:\n{output}") from None
    return process.returncode, output
