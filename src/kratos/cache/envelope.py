"""How entries look in a store of bytes: a head of 19 bytes, then what the encoder has written.

The head has a random number, so that no two entries are alike there, and neither are two invalidations: what an
invalidation leaves under the key is a head with nothing behind it.
"""

from __future__ import annotations

import os
import struct
from typing import Final

from kratos.cache.base import Entry

__all__ = ["HEAD", "head", "pack", "tombstone", "unpack"]

_HEAD: Final = struct.Struct(">cc1s8sd")
HEAD: Final = _HEAD.size
"""How long the head is."""

_MAGIC: Final = b"K"
_VALUE, _NULL, _GONE = b"v", b"n", b"-"


def pack(entry: Entry) -> bytes:
    """Returns an entry as bytes."""
    kind = _NULL if entry.null else _VALUE
    return _HEAD.pack(_MAGIC, kind, entry.form.encode()[:1], os.urandom(8), entry.fresh) + (entry.data or b"")


def tombstone() -> bytes:
    """Returns what stands where something was invalidated; each one is different."""
    return _HEAD.pack(_MAGIC, _GONE, b"", os.urandom(8), 0.0)


def unpack(data: bytes) -> Entry | None:
    """Returns the entry that bytes are; None if they are a tombstone or nothing of ours."""
    if len(data) < HEAD:
        return None
    magic, kind, form, _, fresh = _HEAD.unpack_from(data)
    if magic != _MAGIC or kind not in (_VALUE, _NULL):
        return None
    letter = form.rstrip(b"\0").decode("ascii", "replace")
    return Entry(data[HEAD:], null=kind == _NULL, fresh=fresh, form=letter)


def head(data: bytes | None) -> bytes:
    """Returns what tells one content of a key from another; empty if there is none."""
    return b"" if data is None else data[:HEAD]
