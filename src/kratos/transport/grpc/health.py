"""``grpc.health.v1.Health``: whether calls are welcome, for probes, load balancers and clients that watch.

Clients of Kratos for Go watch the whole server on every connection, and call it only while it serves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from kratos.call import AppInfo, Call
from kratos.errors import NotFound
from kratos.operation import ServerStream, Unary
from kratos.service import Service
from kratos.transport.grpc.handlers import stopping
from kratos.transport.grpc.own import OwnService
from kratos.wire.grpc.health.v1.health_pb import (
    HealthCheckRequest,
    HealthCheckResponse,
    HealthListRequest,
    HealthListResponse,
)

__all__ = ["CHECK", "LIST", "WATCH", "Health"]

CHECK: Final = Unary("/grpc.health.v1.Health/Check", HealthCheckRequest, HealthCheckResponse)
"""How a service is."""
LIST: Final = Unary("/grpc.health.v1.Health/List", HealthListRequest, HealthListResponse)
"""How all services are."""
WATCH: Final = ServerStream("/grpc.health.v1.Health/Watch", HealthCheckRequest, HealthCheckResponse)
"""How a service is now, and each time that changes."""

Status = HealthCheckResponse.ServingStatus


class Health(OwnService):
    """Answers for the server (by the empty name) and for each service, as the app is ready or not.

    Every ``GRPCServer`` has one. Pass one of your own, among the server's ``services``, to say more with ``set``.

    Example:
        ``health = Health()``, ``GRPCServer(services=[health])``, and later ``health.set("shop.v1.Orders", False)``
    """

    __operations__ = (("check", CHECK), ("list", LIST), ("watch", WATCH))

    def __init__(self) -> None:
        self._app = AppInfo()
        self._names: tuple[str, ...] = ("",)
        self._down: set[str] = set()
        self._watchers: set[asyncio.Event] = set()
        self._open = True

    def attach(self, services: Sequence[Service], app: AppInfo) -> None:
        """Takes whose health is asked for; see ``OwnService``."""
        names = (operation.service for service in services for _, operation in service.__operations__)
        self._names = tuple(dict.fromkeys((*self._names, *names)))
        self._app = app
        app.readiness.observe(lambda _: self._tell())

    def open(self) -> None:
        """Answers watchers; see ``OwnService``."""
        self._open = True

    def close(self) -> None:
        """Sends watchers away, after what they have not been told yet; see ``OwnService``."""
        self._open = False
        self._tell()

    def set(self, service: str, serving: bool) -> None:
        """Says of a service whether it can be called, while the app is ready; the empty name is the whole server.

        Call it in the event loop. It stands until it is said otherwise, across a stop and a new start too.

        Raises:
            ValueError: The server has no such service; the message lists what it has.
        """
        if service not in self._names:
            known = ", ".join(filter(None, self._names)) or "none"
            raise ValueError(f"no service {service!r} is served here; there are: {known}")
        (self._down.discard if serving else self._down.add)(service)
        self._tell()

    async def check(self, request: HealthCheckRequest, _: Call) -> HealthCheckResponse:
        """How a service is.

        Raises:
            NotFound: There is no such service.
        """
        if request.service not in self._names:
            raise NotFound(f"no service {request.service!r} is served here", reason="SERVICE_UNKNOWN")
        return HealthCheckResponse(status=self._status(request.service))

    async def list(self, _: HealthListRequest, __: Call) -> HealthListResponse:
        """How all services are."""
        return HealthListResponse(
            statuses={name: HealthCheckResponse(status=self._status(name)) for name in self._names}
        )

    async def watch(self, request: HealthCheckRequest, _: Call) -> AsyncIterator[HealthCheckResponse]:
        """How a service is now, and each time that changes; SERVICE_UNKNOWN for one that is not there.

        Raises:
            ServiceUnavailable: The server stops.
        """
        changed = asyncio.Event()
        self._watchers.add(changed)
        told: Status | None = None
        try:
            while True:
                changed.clear()
                status = self._status(request.service)
                if status != told:
                    told = status
                    yield HealthCheckResponse(status=status)
                elif self._open:
                    await changed.wait()
                else:
                    raise stopping()
        finally:
            self._watchers.discard(changed)

    def _status(self, service: str) -> Status:
        if service not in self._names:
            return Status.SERVICE_UNKNOWN
        return Status.SERVING if self._app.ready and service not in self._down else Status.NOT_SERVING

    def _tell(self) -> None:
        for changed in self._watchers:
            changed.set()
