"""Both directions of an exchange over HTTP, for callers: headers that go out, headers and body that come back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from aiohttp import ClientResponse
from multidict import CIMultiDict

from kratos.call import Call
from kratos.metadata import Metadata
from kratos.transport.deadline import expired, format_timeout
from kratos.version import __version__

__all__ = ["PROTOJSON", "fill_reply", "read_body", "request_headers", "seconds_left", "usual_headers"]

PROTOJSON: Final = "application/protojson"
"""What Go Kratos v3 calls protobuf JSON; its servers want this text exactly, and nothing beside it."""

_USER_AGENT: Final = f"kratos-py/{__version__}"

# What a caller cannot say by a header: it belongs to the connection, or to what the channel reads and writes. Whoever
# passes all received headers on has some of them among those.
_RESERVED: Final = frozenset(
    {
        "accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect",
        "host", "keep-alive", "proxy-connection", "sec-websocket-accept", "sec-websocket-extensions",
        "sec-websocket-key", "sec-websocket-protocol", "sec-websocket-version", "te", "trailer", "transfer-encoding",
        "upgrade", "x-request-timeout",
    }
)  # fmt: skip


def usual_headers(accept: str) -> dict[str, str]:
    """Returns the headers that all calls of a session have; what a call says itself counts more.

    Args:
        accept: What replies are to be.
    """
    return {"User-Agent": _USER_AGENT, "Accept": accept}


def request_headers(call: Call, *, accept: str = "", content_type: str = "") -> CIMultiDict[str]:
    """Returns the headers to send, beside those of the session: aiohttp copies each of them twice, one by one.

    Args:
        call: Its headers, and its deadline as ``x-request-timeout``.
        accept: What the reply is to be, if it is not the usual.
        content_type: What the body is; empty for no body.

    Raises:
        GatewayTimeout: There is no time left.
    """
    headers: CIMultiDict[str] = CIMultiDict()
    if accept:
        headers["Accept"] = accept
    if content_type:
        headers["Content-Type"] = content_type
    left = seconds_left(call)
    if left is not None:
        headers["x-request-timeout"] = format_timeout(left)
    if call.headers:
        headers.extend(pair for pair in call.headers.items() if pair[0] not in _RESERVED and pair[0][:1] != ":")
    return headers


def seconds_left(call: Call) -> float | None:
    """Returns the seconds until the deadline, None without one.

    Raises:
        GatewayTimeout: There are none.
    """
    left = call.remaining()
    if left is not None and left <= 0:
        raise expired(call)
    return left


def fill_reply(call: Call, response: ClientResponse) -> None:
    """Puts status and headers of a response into ``call.reply``, in place of those of an earlier attempt."""
    call.reply.status = None if response.status == 101 else response.status  # a WebSocket's says nothing of the call
    # Decoded when somebody asks for them: 10 us of a call that takes 150.
    call.reply.received(headers=partial(_metadata, response.raw_headers))


async def read_body(response: ClientResponse, limit: int) -> bytes | None:
    """Reads a response to its end; None if it is larger than ``limit`` bytes.

    Raises:
        Exception: One of ``failures.BROKEN``.
    """
    parts: list[bytes] = []
    size = 0
    content = response.content
    while not content.at_eof():
        # A small body came in one piece with the head: no coroutine, and no second one to see that this was all.
        chunk = content.read_nowait() if content.is_eof() else await content.readany()
        size += len(chunk)
        if size > limit:
            return None
        parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _metadata(raw: Sequence[tuple[bytes, bytes]]) -> Metadata:
    return Metadata.from_wire([(_text(name).lower(), _text(value)) for name, value in raw])


def _text(raw: bytes) -> str:
    # HTTP says Latin-1; Go sends what it has, which is UTF-8. What is not UTF-8 must have been Latin-1.
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
