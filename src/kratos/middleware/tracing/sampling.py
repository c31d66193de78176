"""Which traces are recorded: decided where they begin, by a ratio, before OpenTelemetry is asked for anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from kratos.live import Live, live
from kratos.operation import AnyOperation

__all__ = ["Ratio", "Sampling", "drawn"]

Ratio: TypeAlias = "float | Live[float]"
"""Of how many traces one is recorded: 0.0 for none, 1.0 for all."""

# The last 7 bytes of a trace id are those that have to be random.
_RANDOM: Final = slice(9, 16)
_RANGE: Final = 256**7


class Sampling:
    """The ratio of each operation.

    Args:
        usual: The ratio of all others.
        operations: Ratios by operation: its name, or the beginning of it and ``*``. The first that fits counts.

    Raises:
        ValueError: A ratio is not from 0 to 1.
    """

    def __init__(self, usual: Ratio, operations: Mapping[str, Ratio]) -> None:
        self._usual = _checked("sample", usual)
        self._rules = [(name.removeprefix("/"), _checked(name, ratio)) for name, ratio in operations.items()]

    def ratio(self, operation: AnyOperation) -> Live[float]:
        """Returns the ratio of an operation."""
        name = operation.name.removeprefix("/")
        for rule, ratio in self._rules:
            if name.startswith(rule[:-1]) if rule.endswith("*") else name == rule:
                return ratio
        return self._usual


def drawn(ratio: float, trace_id: bytes) -> bool:
    """Tells whether a trace that begins here is recorded."""
    if ratio >= 1:
        return True
    return ratio > 0 and int.from_bytes(trace_id[_RANDOM], "big") < ratio * _RANGE


def _checked(name: str, ratio: Ratio) -> Live[float]:
    def check(value: float) -> float:
        if not 0 <= value <= 1:
            raise ValueError(f"tracing({name}={value!r}): a ratio is from 0.0 (no trace) to 1.0 (every trace)")
        return value

    return live(ratio).map(check)
