"""gRPC on grpcio: the server and the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.transport.grpc.channel import GRPCChannel
    from kratos.transport.grpc.client import GRPCClient
    from kratos.transport.grpc.health import Health
    from kratos.transport.grpc.options import KeepAlive, Limits
    from kratos.transport.grpc.reflection import Reflection
    from kratos.transport.grpc.server import GRPCServer

__all__ = ["GRPCChannel", "GRPCClient", "GRPCServer", "Health", "KeepAlive", "Limits", "Reflection"]

__getattr__ = lazy(
    __name__,
    {
        "GRPCChannel": "channel",
        "GRPCClient": "client",
        "GRPCServer": "server",
        "Health": "health",
        "KeepAlive": "options",
        "Limits": "options",
        "Reflection": "reflection",
    },
)
