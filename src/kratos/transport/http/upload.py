"""Streamed raw bodies: a request body as messages of ``google.api.HttpBody``, read as it arrives.

Whoever does not read on stops the client: what has not been asked for stays on the line. There is at least one message,
so that path, query and content type are seen also where the body is empty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from kratos.codec.raw import RawCodec
from kratos.errors import ClientError, Error
from kratos.transport.http.bind import Binding
from kratos.transport.http.stream import leave

__all__ = ["Upload"]


class Upload:
    """The messages of one body.

    Args:
        binding: How a piece becomes a message.
        content_type: The ``Content-Type`` of the body.
        query: The query; it counts for the first message, as on WebSockets.
        values: The path variables; they count for each.
        receive: Reads events of ASGI.
        max_total: The most bytes of all pieces.

    Attributes:
        ended: Whether all has been read.
    """

    __slots__ = ("_binding", "_codec", "_left", "_max_total", "_query", "_receive", "_task", "_values", "ended")

    def __init__(
        self,
        binding: Binding,
        content_type: str,
        query: str,
        values: Any,
        *,
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        max_total: int,
    ) -> None:
        self._binding = binding
        self._codec = RawCodec(content_type)
        self._query: str | None = query
        self._values = values
        self._receive = receive
        self._left = self._max_total = max_total
        self._task = asyncio.current_task()
        self.ended = False

    def __aiter__(self) -> Upload:
        return self

    async def __anext__(self) -> Any:
        """Returns the next piece.

        Raises:
            StopAsyncIteration: The client has sent all.
            ClientError: 413: it has sent too much.
            asyncio.CancelledError: The client has left.
        """
        while not self.ended:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                await leave(self._task)
            data: bytes = event.get("body", b"")
            self.ended = not event.get("more_body", False)
            self._left -= len(data)
            if self._left < 0:
                raise self._too_large()
            first = self._query is not None
            if data or (self.ended and first):
                query, self._query = self._query or "", None
                return self._binding.build(self._codec, data, query, self._values)
        raise StopAsyncIteration

    def _too_large(self) -> Error:
        return ClientError(f"the body is larger than {self._max_total} bytes", code=413, reason="BODY_TOO_LARGE")
