"""The log of a test run: all records and access lines as JSON, and whether each line of it parses.

``KRATOS_JOURNAL=folder pytest`` writes it there, a file for each process of the run, beside all that the tests look at
themselves; with ``KRATOS_JOURNAL_CALLS=1`` each call that is served has an access line, also where the test wants none.
``python tests/journal.py folder`` parses it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

__all__ = ["begin", "parsed"]

SETTING = "KRATOS_JOURNAL"
RECORD = {"ts": str, "level": str, "logger": str, "msg": str}
ACCESS = {"ts": str, "level": str, "msg": str, "kind": str, "component": str, "operation": str, "code": int,
          "reason": str, "latency": float, "peer": str}  # fmt: skip
"""What each line has, and of what type."""
SECRETS = ("s3cret", "Perch81pike", "8147203661")
"""What tests have in fields that are sensitive."""


class Journal:
    """A file that may be written by several threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")
        self._turn = Lock()

    def write(self, text: str) -> None:
        """Takes whole lines."""
        with self._turn:
            self._file.write(text)
            self._file.flush()

    def flush(self) -> None:
        """Does nothing: nothing waits."""


class Records(logging.Handler):
    """Writes each record as ``kratos.log.setup`` would, here and now: tests count the threads of queues."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record; one that cannot be is a line that does not parse."""
        from kratos.log.console import as_json
        from kratos.log.entry import entry_of

        try:
            line = as_json(entry_of(record))
        except Exception as failure:
            line = f"a record of {record.name} cannot be written: {failure!r}"
        self._journal.write(f"{line}\n")


def begin() -> None:
    """Begins to write, if the environment says where."""
    folder = os.environ.get(SETTING)
    if folder:
        journal = Journal(Path(folder) / f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}.jsonl")
        logging.getLogger().addHandler(Records(journal))
        if os.environ.get(f"{SETTING}_CALLS"):
            _log_all_calls(journal)
        _follow_access_logs(journal)


def _follow_access_logs(journal: Journal) -> None:
    """Has what access logs write to streams and files written here too."""
    from kratos.log.access import Line, Writer, to_stream
    from kratos.log.entry import USUAL
    from kratos.log.redact import Redaction
    from kratos.log.sheet import Format
    from kratos.log.sink import Destination

    ours = to_stream(journal, "json", USUAL)

    def both(to: Destination = None, format: Format = "auto", rules: Redaction = USUAL) -> Writer:
        theirs = to_stream(to, format, rules)

        def written(lines: Sequence[Line], lost: int) -> None:
            if lines:
                ours(lines, 0)
            theirs(lines, lost)

        return written

    setattr(import_module("kratos.middleware.access_log"), "to_stream", both)  # noqa: B010 - where it is looked up


def _log_all_calls(journal: Journal) -> None:
    """Has every server log its calls here."""
    from kratos.middleware import access_log
    from kratos.transport.dispatch import Dispatcher

    log = access_log(to=journal, format="json", args=True)
    init = Dispatcher.__init__

    def logging_too(self: Dispatcher, services: Any, middleware: Any = (), **options: Any) -> None:
        init(self, services, [log, *middleware], **options)

    setattr(Dispatcher, "__init__", logging_too)  # noqa: B010 - of all servers, whoever makes them


def parsed(folder: Path) -> Counter[str]:
    """Parses every line; returns how many there are of each kind.

    Raises:
        AssertionError: One of them is not what a line has to be, or tells a secret.
    """
    counts: Counter[str] = Counter()
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n")[:-1], 1):
            try:
                counts += _kinds(line)
            except (ValueError, AssertionError) as wrong:
                raise AssertionError(f"{path}:{number}: {wrong}: {line[:2000]}") from wrong
    return counts


def _kinds(line: str) -> Counter[str]:
    found = json.loads(line, object_pairs_hook=_once, parse_constant=_refused)
    assert isinstance(found, dict), "no object"
    wanted = RECORD if "logger" in found else ACCESS
    wrong = [name for name, type_ in wanted.items() if type(found.get(name)) is not type_]
    assert not wrong, f"{wrong} are missing, or of another type"
    assert datetime.fromisoformat(found["ts"]).tzinfo is not None, "no time zone"
    assert not [secret for secret in SECRETS if secret in line], "a secret"
    if wanted is RECORD:
        return Counter(records=1, tracebacks="stack" in found)
    family = f"{found['component']} {found['code'] // 100}xx"
    return Counter({"access lines": 1, family: 1, "streams": "requests" in found, "requests": "args" in found})


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Makes an object of members that are all there once."""
    assert len(dict(pairs)) == len(pairs), "a member comes twice"
    return dict(pairs)


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


if __name__ == "__main__":
    lines = parsed(Path(sys.argv[1]))
    if not lines["records"] or not lines["access lines"]:
        sys.exit(f"{sys.argv[1]}: nothing was written there")
    print(", ".join(f"{count} {kind}" for kind, count in sorted(lines.items())), "and each line parses")
