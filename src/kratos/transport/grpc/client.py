"""The gRPC client: the trunk's client over gRPC channels."""

from __future__ import annotations

from collections.abc import Iterable

from kratos.handler import Middleware
from kratos.registry.base import Discovery
from kratos.transport.client import Client
from kratos.transport.grpc.channel import GRPCChannel
from kratos.transport.resolve import Nodes
from kratos.transport.target import Target

__all__ = ["GRPCClient"]


class GRPCClient(Client):
    """Makes calls over gRPC. Use it as an async context manager.

    Args:
        target: ``host:port``, ``grpc://host:port``, ``unix:/path``, ``direct:///a:1,b:2`` or ``discovery:///name``.
        middleware: What every call passes, the first one outermost.
        timeout: Seconds for a unary call; None is no limit. Streams have none.
        discovery: Where ``discovery:///name`` is looked up.

    Raises:
        ValueError: The target cannot be read, needs a ``discovery``, or asks for TLS.

    Example:
        ``async with GRPCClient("localhost:9000") as conn: await GreeterClient(conn).say_hello(HelloRequest())``
    """

    def __init__(
        self,
        target: str,
        *,
        middleware: Iterable[Middleware] = (),
        timeout: float | None = 2.0,
        discovery: Discovery | None = None,
    ) -> None:
        parsed = Target.parse(target)
        if parsed.secure:
            raise ValueError(f"TLS is not there yet for gRPC: connect to grpc://{parsed.addresses[0]}")
        nodes = Nodes(parsed, kind="grpc", connect=GRPCChannel, discovery=discovery)
        super().__init__(nodes, middleware=middleware, timeout=timeout)
