"""``kratos run --reload``: what is watched, what the child is, and how its supervisor speaks."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

from kratos.tools.cli.serving import Serving
from kratos.tools.cli.terminal import note, paint, wrapped
from kratos.tools.codegen.project import Project
from kratos.tools.failure import USAGE, Failure
from kratos.tools.reload.snapshot import Scope
from kratos.tools.reload.supervisor import Supervisor
from kratos.tools.reload.watch import Watch

__all__ = ["supervise"]


def supervise(serving: Serving) -> int:
    """Serves in a child process that is replaced after changes, and returns the exit code.

    Raises:
        Failure: The platform has no such children, or the project's table is wrong.
    """
    if os.name == "nt":
        raise Failure("--reload needs descriptors that a child inherits, which Windows does not have", code=USAGE)
    root = Path(serving.root)
    project = Project.find(root)
    besides = (Path(serving.env_file),) if serving.env_file else ()
    watch = Watch(Scope(root, (project.out,) if project else (), besides))
    # -P: the current folder has no business on the path, where its files would hide the standard library's.
    command = [sys.executable, "-P", "-m", "kratos.tools.cli.serving", serving.to_json()]
    prefix = paint("reload:", "faint", sys.stderr)
    supervisor = Supervisor(command, watch, say=lambda line: _tell(f"{prefix} {line}"), show=_tell)
    return asyncio.run(supervisor.run())


def _tell(text: str) -> None:
    with suppress(OSError):  # the terminal is closed: there is a child to be ended all the same
        note(wrapped(text))
