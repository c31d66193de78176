"""Names of headers that come with most requests."""

from __future__ import annotations

from typing import Final

__all__ = ["USUAL"]

_NAMES = (
    b"accept", b"accept-encoding", b"accept-language", b"authorization", b"cache-control", b"connection",
    b"content-type", b"cookie", b"origin", b"referer", b"traceparent", b"tracestate", b"user-agent",
    b"x-forwarded-for", b"x-forwarded-proto", b"x-real-ip", b"x-request-id",
)  # fmt: skip

USUAL: Final = {spelt: name for name in _NAMES for spelt in (name, name.title())}
"""Names as clients spell them, in lower case.

A look-up is quicker than ``lower()``, and what is always the same object is hashed once. Those that the framing of a
request depends on are not among them: they must be looked at.
"""
