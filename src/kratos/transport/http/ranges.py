"""One range of a body whose bytes are all known (RFC 9110, section 14): downloads that go on where they broke off."""

from __future__ import annotations

import re

from kratos.errors import ClientError
from kratos.metadata import Metadata

__all__ = ["wanted"]

_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


def wanted(request: Metadata, reply: dict[bytes, bytes], size: int) -> tuple[int, int] | None:
    """Returns first byte and end of the part that a request asks for; None for all.

    Several ranges, other units and what cannot be read are no reason to fail: they get all.

    Args:
        request: The headers of the request.
        reply: Those of the reply: ``If-Range`` must be its strong ``ETag`` or its ``Last-Modified``.
        size: The bytes of the body.

    Raises:
        ClientError: 416: the body has no such part; metadata ``content-range`` says how large it is.
    """
    found = _RANGE.fullmatch(request.get("range", "") or "")
    if found is None or not (found[1] or found[2]):
        return None
    condition = (request.get("if-range", "") or "").encode("latin-1", "replace").strip()
    known = (reply.get(b"etag"), reply.get(b"last-modified"))
    if condition and (condition not in known or condition.startswith(b"W/")):
        return None
    if found[1]:
        start, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None
    else:
        start, end = max(0, size - int(found[2])), size
    if start >= end:
        raise ClientError(
            f"the body has {size} bytes, so there is no such part of it",
            code=416,
            reason="RANGE_NOT_SATISFIABLE",
            metadata={"content-range": f"bytes */{size}"},
        )
    return start, end
