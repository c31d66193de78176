"""The catalogue in a process of its own: what it says, how much memory it takes, how many files it has open."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["ServerProcess", "running"]

TESTS = Path(__file__).parents[1]


class ServerProcess:
    """A server that runs."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.pid = process.pid
        self._process = process
        self._log = log
        assert process.stdout is not None
        self.url = process.stdout.readline().strip()
        assert self.url, log.read_text()
        self.port = int(self.url.rpartition(":")[2])

    @property
    def log(self) -> str:
        """What it has written to standard error so far."""
        return self._log.read_text()

    def resident(self) -> int:
        """Returns its resident memory in bytes."""
        return self._status("VmRSS")

    def peak(self) -> int:
        """Returns the most memory that it had since ``forget``, in bytes."""
        return self._status("VmHWM")

    def forget(self) -> int:
        """Makes the peak of its memory what it has now, and returns that."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self.peak()

    def files(self) -> int:
        """Returns how many files and sockets it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def cpu(self) -> float:
        """Returns the seconds of processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def check(self) -> None:
        """Asserts that it runs and that nothing went wrong outside of any call."""
        assert self._process.poll() is None, f"it ended with {self._process.returncode}: {self.log}"
        assert "Traceback" not in self.log, self.log

    def _status(self, name: str) -> int:
        found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024


@contextmanager
def running(*arguments: str, script: Path = TESTS / "catalogue" / "serving.py") -> Iterator[ServerProcess]:
    """Runs a server until the block is left."""
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log"
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, str(script), *arguments],
                stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, "PYTHONPATH": str(TESTS)},
            )  # fmt: skip
        try:
            yield ServerProcess(process, log)
        finally:
            process.kill()
            process.communicate()
