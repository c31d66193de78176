"""The log of a whole test run: thousands of calls of every kind, well and failed, and each line of it parses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import journal
import pytest

TESTS = Path(__file__).parents[1]


@pytest.mark.slow
def test_every_line_of_a_run_parses(tmp_path: Path) -> None:
    """All calls of the roundtrip suite, in memory and over sockets, by both transports, and all that is said beside.

    ``make test`` does so with the log of the whole suite.
    """
    settings = {journal.SETTING: str(tmp_path), f"{journal.SETTING}_CALLS": "1"}
    suite = [TESTS / "roundtrip" / f"test_{name}.py" for name in ("kinds", "memory", "hops")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *suite]
    environment = {**os.environ, **settings}
    done = subprocess.run(
        command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:]
    lines = journal.parsed(tmp_path)
    for kind in ("http", "grpc", "memory"):
        for family in ("2xx", "4xx", "5xx"):
            assert lines[f"{kind} {family}"] > 0, (kind, family)
    assert lines["access lines"] > 1000
    assert min(lines["streams"], lines["requests"], lines["records"], lines["tracebacks"]) > 10


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("hello", "Expecting value"),
        ('{"ts": "2026-01-01T00:00:00Z", "level": "INFO", "msg": "x"', "Expecting"),
        ("[1]", "no object"),
        ('{"logger": "x", "ts": "2026-01-01T00:00:00Z", "level": "INFO"}', "'msg'"),
        ('{"logger": "x", "ts": "2026-01-01T00:00:00", "level": "INFO", "msg": "x"}', "no time zone"),
        ('{"logger": "x", "ts": "2026-01-01T00:00:00Z", "level": "INFO", "msg": "x", "msg": "y"}', "comes twice"),
        ('{"logger": "x", "ts": "2026-01-01T00:00:00Z", "level": "INFO", "msg": "x", "y": NaN}', "NaN is not JSON"),
        ('{"logger": "x", "ts": "2026-01-01T00:00:00Z", "level": "INFO", "msg": "Perch81pike"}', "a secret"),
        ('{"ts": "2026-01-01T00:00:00Z", "level": "INFO", "msg": "x", "kind": "server"}', "'component'"),
    ],
)
def test_a_line_can_be_wrong(tmp_path: Path, line: str, why: str) -> None:
    """What is no line of a log is found, with its place."""
    good = '{"logger": "x", "ts": "2026-01-01T00:00:00Z", "level": "INFO", "msg": "x"}'
    (tmp_path / "main-1.jsonl").write_text(f"{good}\n{line}\n{good}\n")
    with pytest.raises(AssertionError, match=f"main-1.jsonl:2: .*{why}"):
        journal.parsed(tmp_path)
