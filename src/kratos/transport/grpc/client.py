"""The gRPC client: the trunk's client over gRPC channels."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from kratos.handler import Middleware
from kratos.live import Live
from kratos.registry.base import Discovery
from kratos.selector.balancing import Balancing
from kratos.transport.client import Client
from kratos.transport.deadline import Seconds
from kratos.transport.grpc.channel import GRPCChannel
from kratos.transport.grpc.credentials import client_credentials
from kratos.transport.grpc.options import DEFAULT_LIMITS, KeepAlive, Limits
from kratos.transport.members import DEFAULT_BALANCING
from kratos.transport.resolve import Nodes
from kratos.transport.target import Target
from kratos.transport.tls import TLS

__all__ = ["GRPCClient"]


class GRPCClient(Client):
    """Makes calls over gRPC. Use it as an async context manager.

    Args:
        target: ``host:port``, ``grpc://host:port``, ``grpcs://host:port``, ``unix:/path``, ``direct:///a:1,b:2`` or
            ``discovery:///name``; with the last one ``:authority`` is the name, as other clients of Kratos have it.
        middleware: What every call passes, the first one outermost.
        timeout: Seconds for a unary call; None is no limit, a live one counts for calls that begin after a change.
            Streams have none.
        discovery: Where ``discovery:///name`` is looked up.
        balancing: How calls are spread over the nodes of the target; a live one may change.
        tls: Whom to trust, and who we are; a ``grpcs`` target without it trusts the system's authorities. With it
            everything goes over TLS: services are called at their ``grpcs`` endpoints, where their certificates name
            the service unless ``tls.server_name`` says otherwise; without it at their ``grpc`` ones. Its files are
            read now.
        limits: What a server may send at most.
        keepalive: Pings for connections with calls under way; None is none, because servers of other makes may close
            the connections of clients that ping.
        compress_over: Requests of more bytes are compressed (gzip), and streamed ones of any size; None is never.
            Compressed replies are always read.

    Raises:
        ValueError: The target cannot be read, needs a ``discovery``, or cannot have TLS; or a file cannot be used.

    Example:
        ``async with GRPCClient("localhost:9000") as conn: await GreeterClient(conn).say_hello(HelloRequest())``
    """

    def __init__(
        self,
        target: str,
        *,
        middleware: Iterable[Middleware] = (),
        timeout: Seconds = 2.0,
        discovery: Discovery | None = None,
        tls: TLS | None = None,
        limits: Limits = DEFAULT_LIMITS,
        keepalive: KeepAlive | None = None,
        compress_over: int | None = None,
        balancing: Balancing | Live[Balancing] = DEFAULT_BALANCING,
    ) -> None:
        parsed = Target.parse(target)
        tls = parsed.secured(tls, target, "grpcs")
        connect = partial(
            GRPCChannel,
            limits=limits,
            keepalive=keepalive,
            credentials=None if tls is None else client_credentials(tls),
            authority=(None if tls is None else tls.server_name) or parsed.service,
            compress_over=compress_over,
        )
        scheme = "grpc" if tls is None else "grpcs"
        nodes = Nodes(parsed, kind="grpc", connect=connect, discovery=discovery, scheme=scheme, balancing=balancing)
        super().__init__(nodes, middleware=middleware, timeout=timeout)
