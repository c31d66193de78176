"""Both directions of an exchange over HTTP, for callers: headers that go out, headers and body that come back."""

from __future__ import annotations

from typing import Final

from aiohttp import ClientResponse
from multidict import CIMultiDict

from kratos.call import Call
from kratos.transport.deadline import expired, format_timeout
from kratos.version import __version__

__all__ = ["PROTOJSON", "fill_reply", "read_body", "request_headers", "seconds_left"]

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


def request_headers(call: Call, accept: str, content_type: str | None) -> CIMultiDict[str]:
    """Returns the headers to send.

    Args:
        call: Its headers, and its deadline as ``x-request-timeout``.
        accept: What the reply is to be.
        content_type: What the body is; None for no body.

    Raises:
        GatewayTimeout: There is no time left.
    """
    headers = CIMultiDict(
        (key, value) for key, value in call.headers.items() if key not in _RESERVED and not key.startswith(":")
    )
    headers.setdefault("User-Agent", _USER_AGENT)
    headers["Accept"] = accept
    if content_type is not None:
        headers["Content-Type"] = content_type
    left = seconds_left(call)
    if left is not None:
        headers["x-request-timeout"] = format_timeout(left)
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
    headers = call.reply.headers
    for key in list(headers.keys()):
        headers.remove(key)
    headers.extend((_text(name).lower(), _text(value)) for name, value in response.raw_headers)


async def read_body(response: ClientResponse, limit: int) -> bytes | None:
    """Reads a response to its end; None if it is larger than ``limit`` bytes.

    Raises:
        Exception: One of ``failures.BROKEN``.
    """
    parts: list[bytes] = []
    size = 0
    while chunk := await response.content.readany():
        size += len(chunk)
        if size > limit:
            return None
        parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _text(raw: bytes) -> str:
    # HTTP says Latin-1; Go sends what it has, which is UTF-8. What is not UTF-8 must have been Latin-1.
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
