"""Operations: what the contract says of one RPC, as data.

A generated module holds one constant per RPC. The same constant serves the HTTP and the gRPC server, every client,
routing tables, OpenAPI and tests; nothing about an RPC is written down twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

__all__ = ["AnyOperation", "Bidi", "ClientStream", "Http", "Operation", "ServerStream", "Unary"]

Req = TypeVar("Req")
Rep = TypeVar("Rep")


@dataclass(frozen=True, slots=True)
class Http:
    """One ``google.api.http`` binding.

    Attributes:
        method: ``GET``, ``POST`` or any other verb; ``*`` is every verb.
        path: The path template, such as ``/v1/{name=shelves/*}:move``.
        body: The request field that the body fills, ``*`` for the whole message, empty for no body.
        response_body: The reply field that becomes the body, empty for the whole message.
    """

    method: str
    path: str
    body: str = ""
    response_body: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Operation(Generic[Req, Rep]):
    """One RPC of a service. Use one of the four kinds: Unary, ServerStream, ClientStream, Bidi.

    Attributes:
        name: ``/package.Service/Method``, the same on HTTP and gRPC.
        request: The request message class.
        reply: The reply message class.
        http: The HTTP bindings, the primary one first.
        options: Method options from the proto by full name, ``google.*`` ones left out; enums by name.
        idempotent: The contract says that a repetition does no harm (``idempotency_level``).
        deprecated: The contract says that callers should move on.
    """

    name: str
    request: type[Req]
    reply: type[Rep]
    http: tuple[Http, ...] = field(default=(), kw_only=True)
    options: Mapping[str, Any] = field(default_factory=dict[str, Any], kw_only=True)
    idempotent: bool = field(default=False, kw_only=True)
    deprecated: bool = field(default=False, kw_only=True)

    client_streams: ClassVar[bool] = False
    server_streams: ClassVar[bool] = False

    @property
    def streams(self) -> bool:
        """Whether requests or replies are streamed: it is not unary."""
        return self.client_streams or self.server_streams

    @property
    def service(self) -> str:
        """The service's full name, ``helloworld.v1.Greeter``."""
        return self.name[1:].rpartition("/")[0]

    @property
    def method(self) -> str:
        """The method's name in the proto, ``SayHello``."""
        return self.name.rpartition("/")[2]

    def __str__(self) -> str:
        return self.name


AnyOperation: TypeAlias = Operation[Any, Any]
"""An operation whose message types do not matter here."""


class Unary(Operation[Req, Rep]):
    """One request, one reply."""

    __slots__ = ()


class ServerStream(Operation[Req, Rep]):
    """One request, many replies."""

    __slots__ = ()
    server_streams = True


class ClientStream(Operation[Req, Rep]):
    """Many requests, one reply."""

    __slots__ = ()
    client_streams = True


class Bidi(Operation[Req, Rep]):
    """Many requests, many replies, in any order."""

    __slots__ = ()
    client_streams = True
    server_streams = True
