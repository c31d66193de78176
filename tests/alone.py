"""Scripts in a network of their own, in which there is nothing but this machine, and which can be cut: a namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

__all__ = ["network", "run_alone"]

NEEDED = "needs unshare and ip: apt-get install util-linux iproute2"
REFUSED = (
    "this system gives nobody a network of his own ({why}). It does to root; to others after "
    "`sysctl -w kernel.unprivileged_userns_clone=1` (Debian) or "
    "`sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu); in a container that was started with "
    "`--privileged`, or with `--cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt seccomp=unconfined`"
)


def network(state: str) -> None:
    """Sends packets (``up``), or loses them (``down``); for a script that runs alone."""
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


def run_alone(script: Path, *arguments: str) -> str:
    """Returns what a script prints that runs in a network of its own; skips the test where there can be none."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip(NEEDED)
    alone = ["unshare", "--map-root-user", "--net"]
    tried = subprocess.run([*alone, "ip", "link", "set", "lo", "up"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(REFUSED.format(why=tried.stderr.strip() or f"unshare ends with {tried.returncode}"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [*alone, sys.executable, str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
