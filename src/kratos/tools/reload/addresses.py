"""Where an app's servers listen: said on the command line, or kept from one process to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from kratos.app import Onlooker
from kratos.tools.failure import USAGE, Failure
from kratos.transport.listen import Address

__all__ = ["bound", "keep", "place"]


@runtime_checkable
class _Addressed(Protocol):
    """A server that can be told where to listen; one of the user's own may not be."""

    address: str

    @property
    def endpoint(self) -> str: ...


def place(
    servers: Iterable[object],
    *,
    host: str = "",
    port: int | None = None,
    grpc_port: int | None = None,
    admin_port: int | None = None,
) -> None:
    """Replaces parts of where the app's servers listen: of its first HTTP, its first gRPC and its first admin server.

    The host is that of the first two: further servers stay on theirs, and so does what is for operators.

    Args:
        servers: The app's.
        host: For both; as the app says if empty.
        port: For HTTP; as the app says if None.
        grpc_port: For gRPC; as the app says if None.
        admin_port: For operators; as the app says if None.

    Raises:
        Failure: There is no such server, or the host is none.
    """
    placed = list(servers)
    http, grpc, admin = _first(placed, "http"), _first(placed, "grpc"), _admin(placed)
    if port is not None and http is None:
        raise Failure(f"--port {port}: the app has no HTTP server", code=USAGE)
    if grpc_port is not None and grpc is None:
        raise Failure(f"--grpc-port {grpc_port}: the app has no gRPC server", code=USAGE)
    if admin_port is not None and admin is None:
        raise Failure(f"--admin-port {admin_port}: the app has no admin server", code=USAGE)
    if host and http is None and grpc is None:
        raise Failure(f"--host {host}: the app has no server that could listen there", code=USAGE)
    for server, number in ((http, port), (grpc, grpc_port)):
        if server is not None and (host or number is not None):
            _move(server, host, number)
    if admin is not None and admin_port is not None:
        _move(admin, "", admin_port)


def bound(servers: Iterable[object]) -> dict[str, int]:
    """Returns the ports that started servers have, by their place in the app and their scheme."""
    ports = {key: urlsplit(server.endpoint).port for key, server in _keyed(servers)}
    return {key: port for key, port in ports.items() if port}


def keep(servers: Iterable[object], ports: Mapping[str, int]) -> None:
    """Gives servers that would take any free port the one that their predecessors had.

    Args:
        servers: The app's.
        ports: What ``bound`` returned in the process before.
    """
    for key, server in _keyed(servers):
        if key in ports and Address.parse(server.address).port == 0:
            _move(server, "", ports[key])


def _first(servers: Iterable[object], scheme: str) -> _Addressed | None:
    placed = (each for each in servers if isinstance(each, _Addressed) and not isinstance(each, Onlooker))
    return next((each for each in placed if each.endpoint.startswith(scheme)), None)


def _admin(servers: Iterable[object]) -> _Addressed | None:
    return next((each for each in servers if isinstance(each, _Addressed) and isinstance(each, Onlooker)), None)


def _keyed(servers: Iterable[object]) -> Iterable[tuple[str, _Addressed]]:
    for at, server in enumerate(servers):
        if isinstance(server, _Addressed):
            yield f"{at} {urlsplit(server.endpoint).scheme}", server


def _move(server: _Addressed, host: str, port: int | None) -> None:
    now = Address.parse(server.address)
    if now.path and port is None:
        return  # a socket is on no host
    moved = Address(host.strip("[]") or now.host or "127.0.0.1", now.port if port is None else port)
    try:
        server.address = str(moved)
    except ValueError as failure:
        raise Failure(f"--host {host}: {failure}", code=USAGE) from failure
