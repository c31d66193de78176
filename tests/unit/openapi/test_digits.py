"""Ranges of integers as patterns."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.openapi.digits import between

RANGES = [
    (0, 7),
    (0, 10),
    (0, 99),
    (-128, 127),
    (-1, 100),
    (-(2**31), 2**31 - 1),
    (0, 2**64 - 1),
    (-(2**63), 2**63 - 1),
]


@given(st.sampled_from(RANGES), st.integers(), st.integers(-2, 2))
def test_numbers(limits: tuple[int, int], number: int, beside: int) -> None:
    """A number fits if it is in the range, also at its ends."""
    pattern = re.compile(between(*limits))
    for each in (number, limits[0] + beside, limits[1] + beside, number % (limits[1] + 2)):
        assert (pattern.search(str(each)) is not None) == (limits[0] <= each <= limits[1])


@pytest.mark.parametrize("text", ["", "-", "-0", "00", "01", "+1", "1.0", " 1", "1 ", "x"])
def test_texts(text: str) -> None:
    """What JSON writes for no integer fits no range."""
    assert not any(re.search(between(*limits), text) for limits in RANGES)
