"""The HTTP client: the trunk's client over HTTP channels."""

from __future__ import annotations

from collections.abc import Iterable

from kratos.codec.base import Codec
from kratos.codec.json import JsonCodec
from kratos.handler import Middleware
from kratos.live import Live
from kratos.registry.base import Discovery
from kratos.selector.balancing import Balancing
from kratos.transport.client import Client
from kratos.transport.deadline import Seconds
from kratos.transport.http.channel import HTTPChannel
from kratos.transport.http.format import Envelope
from kratos.transport.members import DEFAULT_BALANCING
from kratos.transport.resolve import Nodes
from kratos.transport.target import Target
from kratos.transport.tls import TLS

__all__ = ["HTTPClient"]


class HTTPClient(Client):
    """Makes calls over HTTP, by the rules of the contract. Use it as an async context manager.

    Args:
        target: ``host:port``, ``http://host:port``, ``https://host:port``, ``unix:/path``, ``direct:///a:1,b:2`` or
            ``discovery:///name``.
        middleware: What every call passes, the first one outermost.
        timeout: Seconds for a unary call; None is no limit, a live one counts for calls that begin after a change.
            Streams have none.
        codec: How messages are written; JSON if not given.
        envelope: What the server puts around its replies, as it was told; None for nothing.
        discovery: Where ``discovery:///name`` is looked up.
        balancing: How calls are spread over the nodes of the target; a live one may change.
        tls: Whom to trust, and who we are; an ``https`` target without it trusts the system's authorities. With it
            everything goes over TLS: services are called at their ``https`` endpoints, else at their ``http`` ones.
            Its files are read now.

    Raises:
        ValueError: The target cannot be read, needs a ``discovery``, or cannot have TLS; or a file cannot be used.

    Example:
        ``async with HTTPClient("localhost:8000") as conn: await GreeterClient(conn).say_hello(HelloRequest())``
    """

    def __init__(
        self,
        target: str,
        *,
        middleware: Iterable[Middleware] = (),
        timeout: Seconds = 2.0,
        codec: Codec | None = None,
        envelope: Envelope | None = None,
        discovery: Discovery | None = None,
        tls: TLS | None = None,
        balancing: Balancing | Live[Balancing] = DEFAULT_BALANCING,
    ) -> None:
        chosen = codec or JsonCodec()
        parsed = Target.parse(target)
        tls = parsed.secured(tls, target, "https")
        context = None if tls is None else tls.client_context()
        scheme = "http" if tls is None else "https"

        def connect(address: str) -> HTTPChannel:
            url = address if address.startswith("unix:") else f"{scheme}://{address}"
            name = None if tls is None else tls.server_name
            return HTTPChannel(url, codec=chosen, envelope=envelope, tls=context, server_name=name)

        nodes = Nodes(parsed, kind="http", connect=connect, discovery=discovery, scheme=scheme, balancing=balancing)
        super().__init__(nodes, middleware=middleware, timeout=timeout)
