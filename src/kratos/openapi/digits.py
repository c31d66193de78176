"""Ranges of integers as patterns of text: the keys of maps, and 64-bit integers, are strings in JSON."""

from __future__ import annotations

__all__ = ["between", "up_to"]


def between(least: int, most: int) -> str:
    """Returns a pattern for the integers of a range around zero, as JSON writes them.

    Args:
        least: The least one, not more than zero.
        most: The greatest one, more than zero.

    Example:
        >>> between(0, 120)
        '^(0|[1-9][0-9]{0,1}|1[0-1][0-9]{1}|120)$'
    """
    below = f"|-({up_to(-least)})" if least else ""
    return f"^(0|{up_to(most)}{below})$"


def up_to(most: int) -> str:
    """Returns alternatives for 1 to ``most``, without parentheses: shorter numbers, and those less at one digit.

    Args:
        most: The greatest one, more than zero.
    """
    digits = str(most)
    parts = [f"[1-9][0-9]{{0,{len(digits) - 2}}}"] if len(digits) > 1 else []
    for at, digit in enumerate(digits):
        first, last = 0 if at else 1, int(digit) - 1
        if first <= last:
            rest = len(digits) - at - 1
            parts.append(f"{digits[:at]}[{first}-{last}]" + (f"[0-9]{{{rest}}}" if rest else ""))
    return "|".join([*parts, digits])
