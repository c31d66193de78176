"""What a client may take of an HTTP server: bytes, seconds and connections."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of an HTTP server. Whoever breaks one gets an error that says so, and is disconnected.

    Attributes:
        max_body: The largest request body and the largest WebSocket message, in bytes: 413, or close code 1009.
        max_upload: The most bytes of a request body that is read as it comes (streamed ``google.api.HttpBody``): 413.
        max_headers: The most header fields of a request: 431.
        max_header_bytes: The most bytes of all its header fields together: 431.
        max_url_bytes: The longest path with query, in bytes: 414.
        header_seconds: How long request line and headers may take to arrive: 408.
        body_seconds: How long a request body may make no progress: 408. What is slower than ``body_rate`` is none.
        body_rate: The slowest that a request body may come once that time is over, in bytes a second: 408.
        send_seconds: How long a client may take nothing of what it is sent; it is disconnected without a word.
        idle_seconds: How long a connection is kept open without a request; it is closed without a word.
        max_connections: The most connections at a time, WebSockets included: 503.

    Raises:
        ValueError: A limit is not positive.
    """

    max_body: int = 4 * 1024 * 1024
    max_upload: int = 1024 * 1024 * 1024
    max_headers: int = 100
    max_header_bytes: int = 32 * 1024
    max_url_bytes: int = 8 * 1024
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    body_rate: float = 240.0
    send_seconds: float = 60.0
    idle_seconds: float = 75.0
    max_connections: int = 10_000

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"{field.name} is {getattr(self, field.name)!r}: a limit is a positive number")
