"""FNV-1a with 32 bits, of one text or of one text behind many numbers at once."""

from __future__ import annotations

from struct import unpack
from typing import Final

__all__ = ["POINTS", "fnv1a", "points"]

POINTS: Final = 160
"""How many points a member has on the ring: those of ``0…159`` with its name behind."""

_BASIS: Final = 2166136261
_PRIME: Final = 16777619
_MASK: Final = 0xFFFFFFFF


def fnv1a(text: str) -> int:
    """Returns the hash of a text, as UTF-8.

    Example:
        >>> fnv1a(""), fnv1a("a")
        (2166136261, 3826002220)
    """
    found = _BASIS
    for byte in text.encode():
        found = (found ^ byte) * _PRIME & _MASK
    return found


# One long number has the 160 hashes side by side, 64 bits for each: 32 bits times the prime never reach the next one.
# A multiplication of it is 160 multiplications in C, so a name takes 20 us instead of 200.
_ONES: Final = sum(1 << 64 * index for index in range(POINTS))
_MASKS: Final = _ONES * _MASK
_STARTS: Final = sum(fnv1a(str(index)) << 64 * index for index in range(POINTS))
_BYTES: Final = tuple(_ONES * byte for byte in range(256))
_FORMAT: Final = f"<{POINTS}Q"


def points(name: str) -> tuple[int, ...]:
    """Returns the hashes of ``0`` to ``159``, each with the name behind it."""
    found = _STARTS
    for byte in name.encode():
        found = (found ^ _BYTES[byte]) * _PRIME & _MASKS
    return unpack(_FORMAT, found.to_bytes(8 * POINTS, "little"))
