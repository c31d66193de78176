"""What is left of a deadline, as the header says it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.transport.deadline import format_timeout, parse_timeout


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.25, "250m"),
        (0.57, "570m"),
        (1.001, "1001m"),
        (0.9999, "999m"),
        (2, "2000m"),
        (0.0001, "1m"),
        (0, "0m"),
        (-1, "0m"),
        (99_999.999, "99999999m"),
        (100_000, "100000S"),
        (1e12, "99999999S"),
    ],
)
def test_forms(seconds: float, written: str) -> None:
    """Milliseconds where eight digits hold them, else seconds."""
    assert format_timeout(seconds) == written


@given(st.floats(0.001, 1e7))
def test_what_is_written_is_read(seconds: float) -> None:
    """The peer gets no more than there is, and less by no more than a millisecond, or a second."""
    read = parse_timeout(format_timeout(seconds))
    assert seconds - (0.001 if seconds < 99_999 else 1) - 1e-6 <= read <= seconds + 1e-6
