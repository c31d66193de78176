"""The HTTP client: the trunk's client over HTTP channels."""

from __future__ import annotations

from collections.abc import Iterable

from kratos.codec.base import Codec
from kratos.codec.json import JsonCodec
from kratos.handler import Middleware
from kratos.registry.base import Discovery
from kratos.transport.client import Client
from kratos.transport.http.channel import HTTPChannel
from kratos.transport.http.format import Envelope
from kratos.transport.resolve import Nodes
from kratos.transport.target import Target

__all__ = ["HTTPClient"]


class HTTPClient(Client):
    """Makes calls over HTTP, by the rules of the contract. Use it as an async context manager.

    Args:
        target: ``host:port``, ``http://host:port``, ``direct:///a:1,b:2`` or ``discovery:///name``.
        middleware: What every call passes, the first one outermost.
        timeout: Seconds for a unary call; None is no limit. Streams have none.
        codec: How messages are written; JSON if not given.
        envelope: What the server puts around its replies, as it was told; None for nothing.
        discovery: Where ``discovery:///name`` is looked up.

    Raises:
        ValueError: The target cannot be read, or needs a ``discovery``.

    Example:
        ``async with HTTPClient("localhost:8000") as conn: await GreeterClient(conn).say_hello(HelloRequest())``
    """

    def __init__(
        self,
        target: str,
        *,
        middleware: Iterable[Middleware] = (),
        timeout: float | None = 2.0,
        codec: Codec | None = None,
        envelope: Envelope | None = None,
        discovery: Discovery | None = None,
    ) -> None:
        chosen = codec or JsonCodec()
        nodes = Nodes(
            Target.parse(target),
            kind="http",
            connect=lambda address: HTTPChannel(f"http://{address}", codec=chosen, envelope=envelope),
            discovery=discovery,
        )
        super().__init__(nodes, middleware=middleware, timeout=timeout)
