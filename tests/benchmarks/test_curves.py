"""The simulation behind docs/resilience.svg: what it shows is what is promised."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from curves import amplified, healing, offered, simulated

from kratos.resilience import Priority


def test_three_times_too_much() -> None:
    """Nine tenths of what the server can are answered with the limiter, next to nothing without."""
    assert sum(simulated(offered(3.0, limited=True)).values()) > 0.9
    assert sum(simulated(offered(3.0, limited=False)).values()) < 0.05


def test_priorities() -> None:
    """What matters more is answered more, and what matters most nearly always."""
    answered = simulated(offered(2.0, limited=True, mixed=True))
    assert answered[Priority.SHEDDABLE] < answered[Priority.CRITICAL] < answered[Priority.CRITICAL_PLUS]
    assert answered[Priority.CRITICAL_PLUS] * 4 / 2.0 > 0.85


def test_an_outage() -> None:
    """The breaker stops nearly all, and lets nine tenths through ten seconds after; retries are a fifth."""
    times, shares = healing(100)
    found = dict(zip(times, shares, strict=True))
    assert found[19.5] < 0.2
    assert found[29.5] >= 0.9
    times, loads = amplified(budget=True)
    sent = [load for at, load in zip(times, loads, strict=True) if 10 <= at < 20]
    assert sum(sent[:2]) / 2 <= 1.21
    assert sum(sent) / len(sent) <= 1.2
