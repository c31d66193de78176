"""Checks that cannot take the doctor with them: each in a thread of its own, within a time, whatever it raises."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Literal, TypeAlias

__all__ = ["Check", "Finding", "State", "run"]

State: TypeAlias = Literal["ok", "warn", "bad"]
"""How well something is."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says of one thing.

    Attributes:
        state: ``ok``, ``warn`` for what may be meant so, ``bad`` for what does not work.
        what: The thing.
        detail: What was found.
        advice: What to do about it; empty if all is well.
    """

    state: State
    what: str
    detail: str = ""
    advice: str = ""


Check: TypeAlias = Callable[[], Iterable[Finding]]
"""Looks at one thing and says what it finds."""


class _Running:
    """A check at work. Its thread is left behind if it hangs; it does not keep the process."""

    def __init__(self, name: str, check: Check) -> None:
        self._name = name
        self._check = check
        self._found: list[Finding] = []
        self._thread = threading.Thread(target=self._work, name=f"kratos doctor {name}", daemon=True)
        self._thread.start()

    def findings(self, until: float, seconds: float) -> list[Finding]:
        """Returns what was found by a moment of the monotonic clock."""
        self._thread.join(max(0.0, until - monotonic()))
        if self._thread.is_alive():
            late = Finding("bad", self._name, f"no answer within {seconds:g} s", "kratos --debug doctor")
            return [*self._found, late]
        return self._found

    def _work(self) -> None:
        try:
            for finding in self._check():
                self._found.append(finding)
        except Exception as failure:
            words = " ".join(str(failure).split())
            found = f"the check itself failed: {type(failure).__name__}: {words}"
            self._found.append(Finding("bad", self._name, found, "please report it"))


def run(checks: Sequence[tuple[str, Check]], *, seconds: float = 30.0) -> Iterator[Finding]:
    """Runs all checks at once and yields what they find, in their order.

    Args:
        checks: Names and checks.
        seconds: How long all of them together may take; what is not done by then is bad.
    """
    until = monotonic() + seconds
    for running in [_Running(name, check) for name, check in checks]:
        yield from running.findings(until, seconds)
