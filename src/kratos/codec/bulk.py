"""Large bodies from strangers: the garbage collector waits while one becomes a message.

A body of 4 MiB may hold two million messages. The collector, which counts new objects, would look through all of them
again and again: four fifths of the time of reading (4.5 s, and 0.8 s without), in which a server does nothing else.
"""

from __future__ import annotations

import gc
from typing import Final, TypeVar

from kratos.codec.base import Codec

__all__ = ["read"]

M = TypeVar("M")

LARGE: Final = 64 * 1024
"""From so many bytes on it is worth it."""


def read(codec: Codec, data: bytes, into: type[M]) -> M:
    """Reads a message; see ``Codec.decode``. Other threads may read at the same time."""
    # Where two threads meet, the one that found the collector at work sets it to work again.
    if len(data) < LARGE or not gc.isenabled():
        return codec.decode(data, into)
    gc.disable()
    try:
        return codec.decode(data, into)
    finally:
        gc.enable()
