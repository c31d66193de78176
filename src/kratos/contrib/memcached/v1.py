"""Values as services of Kratos v1 have them in memcached: plain, with flags that say what they are written in."""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Final

from kratos.cache.base import Entry, Fill, Found
from kratos.contrib.memcached.client import Item, Memcached, exptime

__all__ = ["KratosV1Store"]

GOB: Final = 1
JSON: Final = 2
PROTOBUF: Final = 4
GZIP: Final = 1 << 15
LARGE: Final = 1 << 30

_FLAGS: Final = {"raw": 0, "json": JSON, "proto": PROTOBUF}
_FORMS: Final = {flags: form for form, flags in _FLAGS.items()}
_PART: Final = 1_000_000
_LIMIT: Final = 8_000_000


class KratosV1Store:
    """Entries that services of Kratos v1 (``genmc``) read and write too; for the time until there are none of them.

    A value is what the encoder has written and no more, so there is no place for marks: an invalidation deletes, and a
    load that began before it in *another* process may fill the key afterwards, as with v1. "No such thing" can only be
    kept as ``null_value``. Keys are limited to 250 bytes without blanks. Values in Go's gob are none for us.

    Args:
        address: ``host:port``, or the path of a socket.
        timeout: How many seconds it may take to connect, or to answer.
        compress: From how many bytes on a value is compressed; 0 is never.
        clock: The time of the wall.

    Raises:
        ValueError: The address is none.
    """

    def __init__(
        self, address: str, *, timeout: float = 0.5, compress: int = 0, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = Memcached(address, timeout=timeout)
        self._compress = compress
        self._clock = clock

    async def get(self, keys: Sequence[str], /) -> Sequence[Found]:
        """Looks for keys; see ``Store``."""
        items = await self._client.get(keys)
        return await asyncio.gather(*(self._found(key, items.get(key)) for key in keys))

    async def fill(self, fills: Sequence[Fill], /) -> Sequence[bool]:
        """Keeps entries; see ``Store``."""
        return await asyncio.gather(*(self._keep(each) for each in fills))

    async def invalidate(self, keys: Sequence[str], _: float, /) -> None:
        """Forgets keys; see ``Store``."""
        await asyncio.gather(*(self._client.delete(key) for key in keys))

    async def aclose(self) -> None:
        """Closes the connection; see ``Store``."""
        await self._client.aclose()

    async def _found(self, key: str, item: Item | None) -> Found:
        if item is None:
            return Found(None, None)
        data = await self._joined(key, item) if item.flags & LARGE else item.data
        form = _FORMS.get(item.flags & ~(LARGE | GZIP), "")
        if data is not None and item.flags & GZIP:
            data = _unzipped(data)
        return Found(None if data is None or not form else Entry(data, form=form), item.cas)

    async def _joined(self, key: str, item: Item) -> bytes | None:
        """Returns a value that lies in several keys, None if one of them is gone."""
        length = int(item.data) if item.data.isdigit() else _LIMIT + 1
        if length > _LIMIT:
            return None
        names = [f"{key}{number + 1}" for number in range(length // _PART + 1)]
        parts = await self._client.get(names)
        data = b"".join(parts[name].data for name in names if name in parts)
        return data if len(data) == length else None

    async def _keep(self, fill: Fill) -> bool:
        data = fill.entry.data
        if data is None:
            raise ValueError(f"{fill.key}: v1 has no way to say that there is nothing but a null_value: give one")
        if fill.entry.form not in _FLAGS:
            raise ValueError(f"{fill.key}: v1 reads raw, json and proto, and not {fill.entry.form}")
        flags = _FLAGS[fill.entry.form]
        if self._compress and len(data) >= self._compress:
            data, flags = gzip.compress(data), flags | GZIP
        if len(data) > _LIMIT:
            raise ValueError(f"{fill.key}: v1 takes values of up to {_LIMIT} bytes, and this has {len(data)}")
        expires = exptime(fill.ttl, self._clock())
        if len(data) < _PART:
            return await self._put(fill, data, flags, expires)
        # The parts first: whoever finds the head finds them.
        for number in range(len(data) // _PART + 1):
            part = data[number * _PART : (number + 1) * _PART]
            await self._client.store("set", f"{fill.key}{number + 1}", part, flags=flags, expires=expires)
        return await self._put(fill, b"%d" % len(data), flags | LARGE, expires)

    async def _put(self, fill: Fill, data: bytes, flags: int, expires: int) -> bool:
        cas = fill.ticket if isinstance(fill.ticket, int) else None
        verb = "add" if cas is None else "cas"
        return await self._client.store(verb, fill.key, data, flags=flags, expires=expires, cas=cas)


def _unzipped(data: bytes) -> bytes | None:
    """Returns what was compressed, None if that is no gzip, or too much."""
    try:
        reader = zlib.decompressobj(wbits=31)
        plain = reader.decompress(data, _LIMIT)
    except zlib.error:
        return None
    return plain if reader.eof else None
