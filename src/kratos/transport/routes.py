"""What a server serves, as data: for listings, and for whoever wants to know which limits count."""

from __future__ import annotations

from dataclasses import dataclass

from kratos.operation import AnyOperation

__all__ = ["Route"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way into a server, with the limits that count there.

    Attributes:
        operation: What it leads to; None for a path of the server's own, such as ``/healthz``.
        method: The verb, ``*`` for every one; empty over gRPC, which has none.
        path: The path template; over gRPC the operation's name.
        body: The request field that the body fills, ``*`` for the whole message, empty for none.
        websocket: Whether it is opened as a WebSocket.
        timeout: Seconds for a call, the shortest of the limits that apply to it; None is no limit.
        max_message: The largest message to receive, in bytes: over HTTP the largest body or frame; None where nothing
            is received.
    """

    operation: AnyOperation | None
    method: str
    path: str
    body: str = ""
    websocket: bool = False
    timeout: float | None = None
    max_message: int | None = None
