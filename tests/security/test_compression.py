"""Compressed request bodies that become much more than they were, or are none."""

from __future__ import annotations

import gzip
import io
import zlib

import aiohttp
import pytest
from catalogue.process import ServerProcess

MIB = 2**20


def zeros(size: int, wbits: int = 31) -> bytes:
    """Returns that many zeros, compressed."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return b"".join([*(packer.compress(bytes(MIB)) for _ in range(size // MIB)), packer.flush()])


def bomb(levels: int) -> bytes:
    """Returns zeros that were compressed again and again."""
    data = zeros(100 * MIB)
    for _ in range(levels - 1):
        data = gzip.compress(data)
    return data


GOOD = gzip.compress(b'{"title":"x"}')
EMPTY = gzip.compress(b"", mtime=0)

ATTACKS: dict[str, tuple[list[str], bytes, int]] = {
    "bomb": (["gzip"], zeros(400 * MIB), 413),
    "bomb of zlib": (["deflate"], zeros(100 * MIB, 15), 413),
    "bomb of bare deflate": (["deflate"], zeros(100 * MIB, -15), 413),
    "bomb in members": (["gzip"], zeros(3 * MIB) * 50, 413),
    "bomb behind nothing": (["gzip"], EMPTY * 90 + zeros(100 * MIB), 413),
    "bomb in a bomb": (["gzip, gzip"], bomb(2), 415),
    "bomb in a bomb, in two headers": (["gzip", "gzip"], bomb(2), 415),
    "a hundred codings": (["gzip"] * 90, GOOD, 415),
    "empty members": (["gzip"], EMPTY * 200_000, 400),
    "cut off": (["gzip"], GOOD[:-5], 400),
    "head alone": (["gzip"], GOOD[:10], 400),
    "rest behind it": (["gzip"], GOOD + b"rest", 400),
    "wrong sum": (["gzip"], GOOD[:-8] + bytes(8), 400),
    "not compressed": (["gzip"], b'{"title":"x"}', 400),
    "gzip as deflate": (["deflate"], GOOD, 400),
    "brotli": (["br"], b"\x8b", 415),
    "zstandard": (["zstd"], b"(\xb5/\xfd", 415),
    "an odd one": (["x" * 5000], b"", 415),
    "a list": (["gzip, identity"], GOOD, 415),
}


@pytest.mark.parametrize(("codings", "body", "status"), list(ATTACKS.values()), ids=list(ATTACKS))
async def test_bodies(server: ServerProcess, codings: list[str], body: bytes, status: int) -> None:
    """Answered with one 4xx, in little memory; a good one is read after it."""
    before = server.forget()
    async with aiohttp.ClientSession() as session:
        headers = [("content-type", "application/json"), *(("content-encoding", coding) for coding in codings)]
        async with session.put(f"{server.url}/v1/books/x", data=io.BytesIO(body or b"x"), headers=headers) as response:
            assert response.status == status, await response.text()
        good = {"content-type": "application/json", "content-encoding": "gzip"}
        async with session.put(f"{server.url}/v1/books/x", data=GOOD, headers=good) as response:
            assert (response.status, (await response.json())["title"]) == (200, "x")
    assert server.peak() - before < 40 * MIB
