"""What an app serves, as rows: from the servers' own tables, for pages and for ``kratos routes``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from kratos.app import Server
from kratos.operation import AnyOperation
from kratos.transport.http.extra import Mounted
from kratos.transport.routes import Route

__all__ = ["Routed", "Served", "kind", "rows", "served_by", "size"]

_KINDS: Final = {
    (False, False): "unary",
    (False, True): "server stream",
    (True, False): "client stream",
    (True, True): "bidi stream",
}


@runtime_checkable
class Routed(Protocol):
    """A server that tells what it serves; ours do, those of others may."""

    @property
    def routes(self) -> Sequence[Route]:
        """What it serves; nothing before it is mounted. Raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Served:
    """A server and its routes.

    Attributes:
        server: The server.
        routes: What it serves.
    """

    server: Server
    routes: tuple[Route, ...]

    @property
    def endpoint(self) -> str:
        """The URL it answers at."""
        return self.server.endpoint

    @property
    def is_grpc(self) -> bool:
        """Whether gRPC is spoken there."""
        return self.endpoint.startswith("grpc")


def served_by(servers: Iterable[Server]) -> list[Served]:
    """Returns servers with their routes; one that tells none has none."""
    return [Served(server, tuple(server.routes) if isinstance(server, Routed) else ()) for server in servers]


def rows(servers: Iterable[Server]) -> list[dict[str, Any]]:
    """Returns one object for each route of each server; a server that tells none has one with its summary."""
    return [row for each in served_by(servers) for row in _rows(each)]


def kind(operation: AnyOperation) -> str:
    """Returns what sort of operation it is, in words."""
    if isinstance(operation, Mounted):
        return "application"
    return _KINDS[operation.client_streams, operation.server_streams]


def size(number: int) -> str:
    """Returns a number of bytes in the largest unit that leaves it whole."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number >= factor and number % factor == 0:
            return f"{number // factor} {unit}"
    return f"{number} bytes"


def _rows(each: Served) -> Iterator[dict[str, Any]]:
    if not isinstance(each.server, Routed):
        yield {"operation": None, "kind": None, "server": each.endpoint, "summary": each.server.summary}
    for route in each.routes:
        operation = route.operation
        yield {
            "operation": operation and operation.name,
            "kind": operation and kind(operation),
            "deprecated": operation is not None and operation.deprecated,
            "server": each.endpoint,
            "method": route.method or None,
            "path": route.path,
            "body": route.body,
            "websocket": route.websocket,
            "timeout": route.timeout,
            "max_message" if each.is_grpc else "max_body": route.max_message,
        }
