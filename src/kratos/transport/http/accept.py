"""Accepting connections: on TCP and Unix sockets, with TLS and without."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any, Final

import uvicorn

from kratos.transport.http.protocol import LINGER_SECONDS, HTTPProtocol
from kratos.transport.http.settings import ServerConfig

__all__ = ["accept"]

_BACKLOG: Final = 2048


async def accept(
    sock: socket.socket, config: ServerConfig, server: uvicorn.Server, tls: ssl.SSLContext | None
) -> asyncio.Server:
    """Accepts connections from now on, and returns what ends it.

    Args:
        sock: Where they come from.
        config: What the protocols are told.
        server: What knows the connections.
        tls: What they have to begin with; None is nothing.
    """

    def protocol() -> asyncio.Protocol:
        return HTTPProtocol(config, server.server_state, server.lifespan.state)

    options: dict[str, Any] = {"backlog": _BACKLOG}
    if tls is not None:
        # The limits begin to count once there is a protocol, that is after the handshake, and end before the good-bye.
        handshake = config.limits.value.header_seconds
        options |= {"ssl": tls, "ssl_handshake_timeout": handshake, "ssl_shutdown_timeout": LINGER_SECONDS}
    loop = asyncio.get_running_loop()
    if isinstance(sock.getsockname(), str):
        return await loop.create_unix_server(protocol, sock=sock, **options)
    return await loop.create_server(protocol, sock=sock, **options)
