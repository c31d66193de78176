"""Content codings: gzip and deflate, of replies and of request bodies."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Sequence
from typing import Final

from kratos.errors import BadRequest, ClientError

__all__ = ["compress", "inflate", "preferred"]

OFF_LOOP: Final = 128 * 1024
"""Larger bodies are compressed in a thread: so much takes about a millisecond, which other calls would wait."""

_LEVEL: Final = 1
"""On JSON an eighth larger than level 6, in half of the time."""

_SMALL: Final = 8 * 1024
_WORTH = re.compile(rb"text/|application/(?:.*\+)?(?:json|xml|yaml|javascript|protojson|(?:x-)?proto)|image/svg")
_CODING = re.compile(r"\s*([\w*-]+)\s*(?:;\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?", re.IGNORECASE)
_MAX_CODINGS = 20
_MAX_MEMBERS = 100
"""Of a gzip body. What follows each is copied, so that a hundred thousand empty ones would take minutes."""


def preferred(accept: Sequence[str]) -> str | None:
    """Returns the coding for a reply by the ``Accept-Encoding`` headers, None for none.

    Example:
        >>> preferred(["deflate, gzip;q=0.5, *;q=0"])
        'deflate'
    """
    wishes: dict[str, float] = {}
    for element in ",".join(accept).split(",", _MAX_CODINGS)[:_MAX_CODINGS]:
        found = _CODING.fullmatch(element)
        if found is not None:
            wishes.setdefault(found[1].lower(), float(found[2] or 1))
    gzipped = wishes.get("gzip", wishes.get("x-gzip", wishes.get("*", 0.0)))
    deflated = wishes.get("deflate", wishes.get("*", 0.0))
    best = max(gzipped, deflated)
    if best <= 0 or wishes.get("identity", 0.0) > best:
        return None
    return "gzip" if gzipped == best else "deflate"


async def compress(headers: list[tuple[bytes, bytes]], body: bytes, accept: Sequence[str]) -> bytes:
    """Returns a body as it is to be sent, and says in its headers how; as it is where compression is of no use.

    Args:
        headers: The headers of the response, the content type first.
        body: The body.
        accept: The ``Accept-Encoding`` headers of the request.
    """
    present = dict(headers)
    if not _WORTH.match(headers[0][1]) or b"content-encoding" in present or b"content-range" in present:
        return body
    if b"no-transform" in present.get(b"cache-control", b""):
        return body
    headers.append((b"vary", b"accept-encoding"))
    coding = preferred(accept) if accept else None
    if coding is None:
        return body
    headers.append((b"content-encoding", coding.encode("ascii")))
    for index, (name, value) in enumerate(headers):
        if name == b"etag" and not value.startswith(b"W/"):  # these are other bytes than those it was made for
            headers[index] = (name, b"W/" + value)
    if len(body) > OFF_LOOP:
        return await asyncio.to_thread(_compressed, body, coding)
    return _compressed(body, coding)


def inflate(body: bytes, coding: str, limit: int) -> bytes:
    """Returns a request body without its coding.

    Args:
        body: The body as it came.
        coding: Its ``Content-Encoding``, one of them.
        limit: The most bytes that it may become; no more are ever made.

    Raises:
        ClientError: 415: the coding is not known here. 413: it becomes larger.
        BadRequest: It is not in that coding.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise ClientError(
            f"Content-Encoding {coding[:100]}: this server reads gzip, deflate and identity, one at a time",
            code=415,
            reason="UNSUPPORTED_MEDIA_TYPE",
            metadata={"accept-encoding": "gzip, deflate"},
        )
    # Deflate is zlib's format by the standard, and the bare one for some clients: the header tells them apart.
    bare = coding == "deflate" and (len(body) < 2 or body[0] & 15 != 8 or (body[0] << 8 | body[1]) % 31 != 0)
    parts: list[bytes] = []
    left = limit
    try:
        while body:  # a gzip body may have several members
            if len(parts) == _MAX_MEMBERS:
                raise BadRequest(f"the body is {coding} in more than {_MAX_MEMBERS} members", reason="CODEC")
            reader = zlib.decompressobj(wbits=-15 if bare else 47)
            parts.append(reader.decompress(body, left + 1))
            left -= len(parts[-1])
            if left < 0:
                raise ClientError(
                    f"the request body is larger than {limit} bytes when it is unpacked",
                    code=413,
                    reason="BODY_TOO_LARGE",
                )
            if not reader.eof:
                raise BadRequest(f"the body is not {coding}: it ends too early", reason="CODEC")
            body = reader.unused_data
    except zlib.error as error:
        raise BadRequest(f"the body is not {coding}: {error}", reason="CODEC") from None
    return b"".join(parts)


def _compressed(body: bytes, coding: str) -> bytes:
    # A window of 8 KiB is enough for a body of that size, and five times as quick to set up as the usual one.
    window, memory = (13, 5) if len(body) <= _SMALL else (15, 8)
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, window + 16 if coding == "gzip" else window, memory)
    return packer.compress(body) + packer.flush()
