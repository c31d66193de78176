"""How many lines were lost, for a meter: nobody read them in time, or writing them failed."""

from __future__ import annotations

from collections.abc import Callable

from kratos.metrics.base import Meter

__all__ = ["show"]


def show(meter: Meter, log: str, count: Callable[[], int]) -> None:
    """Has a meter show a count of lost lines, as ``kratos_log_lines_lost_total``.

    Args:
        meter: The meter.
        log: Which log it is: the label.
        count: Returns how many it has lost since the start.
    """
    meter.observed(
        "kratos_log_lines_lost_total",
        "Log lines that were lost: nobody read them in time, or writing them failed.",
        lambda: {(log,): count()},
        labels=("log",),
        counter=True,
    )
