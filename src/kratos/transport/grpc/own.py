"""Services of the server itself, beside those of users: they pass no middleware and know what else is served."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kratos.call import AppInfo
from kratos.service import Service

__all__ = ["OwnService", "sorted_out"]


class OwnService(Service):
    """A service of the server itself.

    A server calls ``attach`` when it is mounted, ``open`` before it accepts calls and ``close`` when it begins to stop.
    """

    def attach(self, services: Sequence[Service], app: AppInfo) -> None:
        """Takes what is served, this one and its like included, and who serves it."""

    def open(self) -> None:
        """Begins to answer."""

    def close(self) -> None:
        """Ends the streams that would last as long as their clients: a stop need not wait for them."""


def sorted_out(
    services: Iterable[Service], usual: Iterable[OwnService]
) -> tuple[tuple[Service, ...], tuple[OwnService, ...]]:
    """Tells services of users from the server's own.

    Args:
        services: What users want to be served, own services among them.
        usual: What is served besides, where nobody else serves the same operations.
    """
    services = tuple(services)
    taken = {operation.name for service in services for _, operation in service.__operations__}
    own = [service for service in services if isinstance(service, OwnService)]
    own += [each for each in usual if taken.isdisjoint(operation.name for _, operation in each.__operations__)]
    return tuple(service for service in services if not isinstance(service, OwnService)), tuple(own)
