"""Discovery by DNS: every address of a host is an instance, as with a headless service of Kubernetes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from typing import Final

from kratos.registry.base import Instance
from kratos.registry.patience import Patience
from kratos.registry.watching import Watches

__all__ = ["DNSDiscovery"]

_NOBODY: Final = {getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name)}


class DNSDiscovery:
    """Asks for the addresses of a host, again and again.

    While DNS does not answer, the last list stands. That there is no such host means that nobody serves.

    Args:
        ports: The port of each scheme: ``{"grpc": 9000, "http": 8000}``.
        host: The host of a service, in which ``{name}`` is the service's name.
        every: How often DNS is asked, in seconds.
        patience: How long DNS is waited for.

    Raises:
        ValueError: There is no port, ``every`` is not positive, or ``host`` is none.

    Example:
        ``DNSDiscovery({"grpc": 9000}, host="{name}.default.svc.cluster.local")``
    """

    def __init__(
        self,
        ports: Mapping[str, int],
        *,
        host: str = "{name}",
        every: float = 5.0,
        patience: Patience | None = None,
    ) -> None:
        if not ports or not all(0 < port < 65536 for port in ports.values()):
            raise ValueError(f'ports is {dict(ports)!r}: it needs a port for each scheme, such as {{"grpc": 9000}}')
        if not every > 0:
            raise ValueError(f"every is {every!r}: it must be a positive number of seconds")
        if not host:
            raise ValueError(f"host is {host!r}: it has to be a host, such as {{name}}.default.svc.cluster.local")
        self._ports = dict(ports)
        self._host = host
        self._every = every
        self._watches = Watches(self, "dns", patience or Patience())

    def watch(self, name: str, scheme: str | None = None, /) -> AsyncIterator[tuple[Instance, ...]]:
        """Yields an instance for each address of a service's host; see ``Discovery``."""
        return self._watches.watch(name, scheme)

    async def lists(self, name: str, /) -> AsyncGenerator[Iterable[Instance], None]:
        """Asks DNS, again and again; see ``Lister``. For ``watch``, not for users."""
        while True:
            yield [self._instance(name, address) for address in await self._addresses(name)]
            await asyncio.sleep(self._every)

    async def aclose(self) -> None:
        """Ends all watches."""
        await self._watches.aclose()

    def _instance(self, name: str, address: str) -> Instance:
        host = f"[{address}]" if ":" in address else address
        return Instance(
            address, name, endpoints=tuple(f"{scheme}://{host}:{port}" for scheme, port in self._ports.items())
        )

    async def _addresses(self, name: str) -> set[str]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._host.replace("{name}", name), None, type=socket.SOCK_STREAM)
        except socket.gaierror as failure:
            if failure.errno in _NOBODY:
                return set()
            raise
        except UnicodeError as failure:
            raise ValueError(f"{name!r} cannot be the name of a host: {failure}") from failure
        return {str(address[0]) for _, _, _, _, address in found}
