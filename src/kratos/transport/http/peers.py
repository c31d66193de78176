"""Who is at the other end: of a connection, or in front of the proxies that it has passed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final, TypeAlias

from kratos.call import UNKNOWN_PEER, Certificate, Peer
from kratos.transport.http.proxies import Proxies

__all__ = ["ARRIVED", "PEER", "Forwarded", "forwarded", "peer_at", "peer_of"]

Scope: TypeAlias = MutableMapping[str, Any]
App: TypeAlias = Callable[[Scope, Any, Any], Awaitable[None]]

PEER: Final = "kratos.peer"
"""The extension in which our server says who is there: a ``Peer``, made once for each connection."""

ARRIVED: Final = "kratos.arrived"
"""The key in the scope of a request at which our server says when the last of it came: a list of one number, because
more may come, and a scope may be a copy."""


class Forwarded:
    """An ASGI application that believes trusted proxies about who is calling.

    Args:
        app: What answers.
        proxies: Who is trusted.
    """

    def __init__(self, app: App, proxies: Proxies) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answers one request or one WebSocket."""
        near = peer_of(scope)
        peer = forwarded(self._proxies, near, scope.get("headers", ()))
        if peer is not near:
            client = (peer.address.strip("[]"), 0)
            scope = {**scope, "client": client, "extensions": {**scope.get("extensions", {}), PEER: peer}}
        await self._app(scope, receive, send)


def forwarded(proxies: Proxies, peer: Peer, headers: Sequence[tuple[bytes, bytes]]) -> Peer:
    """Returns who is calling: the other end of the connection, or whom a trusted proxy there speaks for.

    Args:
        proxies: Who is trusted.
        peer: The other end of the connection.
        headers: Those of the request, names in lower case.
    """
    host = _host(peer.address)
    client = proxies.client(host, headers)
    if client == host:
        return peer
    return Peer(f"[{client}]" if ":" in client else client)  # without a certificate: that is the proxy's


def peer_of(scope: Scope) -> Peer:
    """Returns who makes a request."""
    peer: Peer | None = scope.get("extensions", {}).get(PEER)
    if peer is not None:
        return peer
    client = scope.get("client")
    return Peer(_address(*client)) if client else UNKNOWN_PEER


def peer_at(transport: asyncio.Transport, client: tuple[str, int] | None) -> Peer:
    """Returns who is at the other end of a connection.

    Args:
        transport: The connection.
        client: Host and port; None where there is no such thing.
    """
    known = transport.get_extra_info("peercert")
    certificate = _certificate(known) if known else None
    if client is not None:
        return Peer(_address(*client), certificate)
    return Peer("unix:" if isinstance(transport.get_extra_info("sockname"), str) else "", certificate)


def _certificate(known: dict[str, Any]) -> Certificate:
    """Returns the names in a certificate, as ``ssl`` has read it."""
    subject = dict(pair for part in known.get("subject", ()) for pair in part)
    names = tuple(name for _, name in known.get("subjectAltName", ()) if isinstance(name, str))
    return Certificate(subject.get("commonName", ""), names)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _host(address: str) -> str:
    return address if address == "unix:" else address.rpartition(":")[0].strip("[]")
