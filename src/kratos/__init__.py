"""Kratos for Python: microservices from one contract, over HTTP and gRPC.

The names below are loaded when they are first used, so ``import kratos.errors`` costs no server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy
from kratos.version import __version__

if TYPE_CHECKING:
    from kratos.admin.server import AdminServer
    from kratos.app import App, Shutdown, run
    from kratos.call import Call, Peer, Reply, current_call
    from kratos.errors import Error
    from kratos.handler import Handler, Messages, Middleware, only
    from kratos.live import Live
    from kratos.metadata import Metadata
    from kratos.service import blocking
    from kratos.transport.grpc.client import GRPCClient
    from kratos.transport.grpc.server import GRPCServer
    from kratos.transport.http.client import HTTPClient
    from kratos.transport.http.server import HTTPServer
    from kratos.transport.tls import TLS

__all__ = [
    "TLS",
    "AdminServer",
    "App",
    "Call",
    "Error",
    "GRPCClient",
    "GRPCServer",
    "HTTPClient",
    "HTTPServer",
    "Handler",
    "Live",
    "Messages",
    "Metadata",
    "Middleware",
    "Peer",
    "Reply",
    "Shutdown",
    "__version__",
    "blocking",
    "current_call",
    "only",
    "run",
]

__getattr__ = lazy(
    __name__,
    {
        "AdminServer": "admin.server",
        "App": "app",
        "Call": "call",
        "Error": "errors",
        "GRPCClient": "transport.grpc.client",
        "GRPCServer": "transport.grpc.server",
        "HTTPClient": "transport.http.client",
        "HTTPServer": "transport.http.server",
        "Handler": "handler",
        "Live": "live",
        "Messages": "handler",
        "Metadata": "metadata",
        "Middleware": "handler",
        "Peer": "call",
        "Reply": "call",
        "Shutdown": "app",
        "TLS": "transport.tls",
        "blocking": "service",
        "current_call": "call",
        "only": "handler",
        "run": "app",
    },
)
