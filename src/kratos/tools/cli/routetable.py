"""What an app serves, as rows for scripts and as text for people; everything comes from the servers' own tables."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from kratos.app import App, Server
from kratos.operation import AnyOperation
from kratos.tools.cli.target import Target
from kratos.tools.cli.terminal import paint
from kratos.transport.http.extra import Mounted
from kratos.transport.routes import Route

__all__ = ["load", "rows", "text"]

_KINDS: Final = {
    (False, False): "unary",
    (False, True): "server stream",
    (True, False): "client stream",
    (True, True): "bidi stream",
}


@runtime_checkable
class _Routed(Protocol):
    """A server that tells what it serves; ours do, those of others may."""

    @property
    def routes(self) -> Sequence[Route]: ...


@dataclass(frozen=True, slots=True)
class _Served:
    """A server and its routes."""

    server: Server
    routes: tuple[Route, ...]

    @property
    def endpoint(self) -> str:
        return self.server.endpoint

    @property
    def is_grpc(self) -> bool:
        return self.endpoint.startswith("grpc")


def load(target: str | None) -> App:
    """Returns the app that somebody names, or that of the project; nothing is started.

    Raises:
        Failure: There is none, or it cannot be loaded.
    """
    return asyncio.run(Target.of(target, command="kratos routes").app())


def _served(app: App) -> list[_Served]:
    return [_Served(server, tuple(server.routes) if isinstance(server, _Routed) else ()) for server in app.servers]


def _kind(operation: AnyOperation) -> str:
    if isinstance(operation, Mounted):
        return "application"
    return _KINDS[operation.client_streams, operation.server_streams]


def rows(app: App) -> list[dict[str, Any]]:
    """Returns one object for each route of each server; a server that tells none has one with its summary."""
    return [row for served in _served(app) for row in _rows(served)]


def _rows(served: _Served) -> Iterator[dict[str, Any]]:
    if not isinstance(served.server, _Routed):
        yield {"operation": None, "kind": None, "server": served.endpoint, "summary": served.server.summary}
    for route in served.routes:
        operation = route.operation
        yield {
            "operation": operation and operation.name,
            "kind": operation and _kind(operation),
            "deprecated": operation is not None and operation.deprecated,
            "server": served.endpoint,
            "method": route.method or None,
            "path": route.path,
            "body": route.body,
            "websocket": route.websocket,
            "timeout": route.timeout,
            "max_message" if served.is_grpc else "max_body": route.max_message,
        }


def text(app: App) -> Iterator[str]:
    """Yields lines for people: a block for each operation of each service, then the servers' own paths."""
    servers = _served(app)
    yield paint(f"{app.info.name} {app.info.version}".rstrip(), "strong")
    routed = [route.operation for served in servers for route in served.routes if route.operation is not None]
    said = [operation for service in app.services for _, operation in service.__operations__]
    operations = {operation.name: operation for operation in (*said, *routed)}
    service = ""
    for operation in operations.values():
        if operation.service != service:
            service = operation.service
            yield ""
            yield paint(service, "name")
        yield from _block(operation, servers)
    for served in servers:
        yield from _rest(served)


def _block(operation: AnyOperation, servers: Sequence[_Served]) -> Iterator[str]:
    facts = [_kind(operation), *(["deprecated"] if operation.deprecated else [])]
    yield f"  {paint(operation.method, 'strong')}  {', '.join(facts)}"
    nowhere = True
    for served in servers:
        routes = [route for route in served.routes if route.operation is operation]
        if routes:
            nowhere = False
            yield f"    {served.endpoint}  {paint(_limits(routes[0]), 'faint')}"
            yield from _lines(routes)
    if nowhere:
        yield paint("    served nowhere: it has no HTTP rule, and nothing listens for gRPC", "warn")


def _lines(routes: Iterable[Route]) -> Iterator[str]:
    """Yields the HTTP bindings; over gRPC the operation's name says it all."""
    for route in routes:
        if route.method:
            verb = "WS" if route.websocket else "ANY" if route.method == "*" else route.method
            body = f"  {paint(f'body {route.body}', 'faint')}" if route.body else ""
            yield f"      {verb:6} {route.path}{body}"


def _limits(route: Route) -> str:
    time = "no time limit" if route.timeout is None else f"{route.timeout:g} s"
    return time if route.max_message is None else f"{time}, {_size(route.max_message)}"


def _size(size: int) -> str:
    """Returns a number of bytes in the largest unit that leaves it whole."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} bytes"


def _rest(served: _Served) -> Iterator[str]:
    """Yields what a server has beside operations; of one that tells nothing, what its banner says."""
    if not isinstance(served.server, _Routed):
        yield ""
        yield f"{served.endpoint}  {paint(served.server.summary, 'faint')}"
    own = [route for route in served.routes if route.operation is None]
    if own:
        yield ""
        yield f"{served.endpoint}  {paint('paths of its own', 'faint')}"
    for route in own:
        verb = f"{route.method:6} " if route.method else ""
        yield f"      {verb}{route.path}"
