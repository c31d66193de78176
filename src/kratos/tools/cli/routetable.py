"""What an app serves, as rows for scripts and as text for people; everything comes from the servers' own tables."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kratos.admin import routing
from kratos.admin.routing import Routed, Served, kind, served_by, size
from kratos.app import App
from kratos.operation import AnyOperation
from kratos.tools.cli.target import Target
from kratos.tools.cli.terminal import paint
from kratos.transport.routes import Route

__all__ = ["load", "rows", "text"]


def load(target: str | None) -> App:
    """Returns the app that somebody names, or that of the project; nothing is started.

    Raises:
        Failure: There is none, or it cannot be loaded.
    """
    return asyncio.run(Target.of(target, command="kratos routes").app())


def rows(app: App) -> list[dict[str, Any]]:
    """Returns one object for each route of each server; a server that tells none has one with its summary."""
    return routing.rows(app.servers)


def text(app: App) -> Iterator[str]:
    """Yields lines for people: a block for each operation of each service, then the servers' own paths."""
    servers = served_by(app.servers)
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


def _block(operation: AnyOperation, servers: Sequence[Served]) -> Iterator[str]:
    facts = [kind(operation), *(["deprecated"] if operation.deprecated else [])]
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
    return time if route.max_message is None else f"{time}, {size(route.max_message)}"


def _rest(served: Served) -> Iterator[str]:
    """Yields what a server has beside operations; of one that tells nothing, what its banner says."""
    if not isinstance(served.server, Routed):
        yield ""
        yield f"{served.endpoint}  {paint(served.server.summary, 'faint')}"
    own = [route for route in served.routes if route.operation is None]
    if own:
        yield ""
        yield f"{served.endpoint}  {paint('paths of its own', 'faint')}"
    for route in own:
        verb = f"{route.method:6} " if route.method else ""
        yield f"      {verb}{route.path}"
