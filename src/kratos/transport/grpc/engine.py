"""What carries a gRPC server: grpcio's own core, or another one behind the same few words."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, Protocol

import grpc.aio

from kratos.transport.grpc.credentials import server_credentials
from kratos.transport.grpc.guard import new_server
from kratos.transport.grpc.handlers import Handlers
from kratos.transport.grpc.options import Options
from kratos.transport.listen import Address, claim, listen, permit
from kratos.transport.tls import TLS

__all__ = ["Engine", "GrpcioEngine", "target"]

logger = logging.getLogger("kratos.grpc")

# What a cancelled handler has for cleaning up, and its connection for closing, beyond the limit of stop().
CLEANUP_SECONDS: Final = 1.0
# grpcio takes no "for ever": its None is "at once".
FOR_EVER_SECONDS: Final = 1e8


class Engine(Protocol):
    """Listens, and answers calls with what it was made of. Used by one task at a time."""

    async def start(self, address: Address) -> Address:
        """Returns where it listens, with the real port, as soon as connections are accepted.

        Raises:
            OSError: The address cannot be had; the message says why.
        """
        ...

    async def stop(self, timeout: float | None) -> None:
        """Refuses new calls, finishes what is under way, and cancels what is not done after ``timeout`` seconds.

        None is no limit. Raises nothing; being cancelled, it leaves the rest to the end of the process.
        """
        ...


def target(address: Address) -> str:
    """Returns an address as the libraries of gRPC take it."""
    return f"unix:{address.path}" if address.path else str(address)


class GrpcioEngine:
    """grpcio's asyncio server.

    Args:
        handlers: What answers.
        options: grpcio's options.
        tls: Its certificate; None is no TLS.
    """

    def __init__(self, handlers: Handlers, options: Options, tls: TLS | None = None) -> None:
        self._handlers = handlers
        self._options = options
        self._tls = tls
        self._server: grpc.aio.Server | None = None

    async def start(self, address: Address) -> Address:
        """Listens; see ``Engine.start``."""
        credentials = _credentials(self._tls, address)
        server = new_server(self._handlers.methods, self._handlers.refuse, self._options)
        claim(address)  # grpcio takes the place of whoever serves there, without a word
        try:
            if credentials is None:
                port = server.add_insecure_port(target(address))
            else:
                port = server.add_secure_port(target(address), credentials)
        except RuntimeError:
            listen(address).close()  # grpcio does not say why it failed; the socket does
            raise
        permit(address)
        await server.start()
        self._server = server
        return address if address.path else Address(address.host, port)

    async def stop(self, timeout: float | None) -> None:
        """Ends what is under way; see ``Engine.stop``."""
        server, self._server = self._server, None
        if server is None:
            return
        limit = FOR_EVER_SECONDS if timeout is None else timeout
        closing = asyncio.create_task(server.stop(limit + CLEANUP_SECONDS), name="kratos grpc closing")
        await asyncio.wait([closing], timeout=limit)
        left = await self._handlers.cancel(CLEANUP_SECONDS)
        await closing
        if left:
            logger.warning("%d calls did not end though they were cancelled %g s ago", left, CLEANUP_SECONDS)


def _credentials(tls: TLS | None, address: Address) -> Any:
    try:
        return None if tls is None else server_credentials(tls)
    except ValueError as wrong:
        raise OSError(f"cannot listen on {address}: {wrong}") from wrong
