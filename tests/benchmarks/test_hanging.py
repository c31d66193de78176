"""The simulation of a node that hangs: what it shows is what is promised."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from hanging import run


@pytest.mark.parametrize("count", [3, 10])
@pytest.mark.parametrize(("rate", "longest"), [(10, 12.0), (100, 7.0), (1000, 7.0)])
def test_a_node_that_hangs(rate: int, longest: float, count: int) -> None:
    """It is left alone within seconds, at the cost of six calls at most."""
    for seed in range(2):
        seen = run(rate, count, seed, seconds=30)
        (after, address) = seen.ejections[-1]
        assert (address, len(seen.ejections)) == ("0", 1)
        assert after < longest
        assert 2 <= seen.lost <= 6


def test_requests_that_hang() -> None:
    """Where it is the requests that take too long, wherever they go, nodes take calls on."""
    assert sum(len(run(100, 3, seed, seconds=30, slow=0.01, hangs=False).ejections) for seed in range(3)) <= 1
