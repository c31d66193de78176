"""HTTP: the server and the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.transport.http.channel import HTTPChannel
    from kratos.transport.http.client import HTTPClient
    from kratos.transport.http.cors import CORS
    from kratos.transport.http.format import Envelope, Format
    from kratos.transport.http.limits import Limits
    from kratos.transport.http.mounts import mount
    from kratos.transport.http.raw import HTTPRequest, handle, request_of
    from kratos.transport.http.server import HTTPServer
    from kratos.transport.tls import TLS

__all__ = [
    "CORS",
    "TLS",
    "Envelope",
    "Format",
    "HTTPChannel",
    "HTTPClient",
    "HTTPRequest",
    "HTTPServer",
    "Limits",
    "handle",
    "mount",
    "request_of",
]

__getattr__ = lazy(
    __name__,
    {
        "CORS": "cors",
        "TLS": ".tls",
        "Envelope": "format",
        "Format": "format",
        "HTTPChannel": "channel",
        "HTTPClient": "client",
        "HTTPRequest": "raw",
        "HTTPServer": "server",
        "Limits": "limits",
        "handle": "raw",
        "mount": "mounts",
        "request_of": "raw",
    },
)
