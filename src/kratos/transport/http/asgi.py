"""The ASGI front of the edge: runs under our own server and under any other ASGI server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from kratos.call import Peer
from kratos.errors import ClientClosed, ClientError, Error
from kratos.transport.http.edge import Edge, Request, Response

__all__ = ["ASGIFront"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class ASGIFront:
    """An ASGI application around an edge.

    Args:
        edge: What answers.
        max_body: The largest request body, in bytes; a larger one is answered with 413.
    """

    def __init__(self, edge: Edge, *, max_body: int) -> None:
        self._edge = edge
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request.

        Raises:
            NotImplementedError: The scope is not ``http``.
        """
        if scope["type"] != "http":
            raise NotImplementedError(f"{scope['type']} connections are not served here")
        request = _request(scope)
        try:
            match = self._edge.match(request)
            body = await self._read(receive)
        except ClientClosed:
            return  # nobody is there to answer
        except Error as error:
            await _write(send, self._edge.refuse(error), scope)
            return
        await _write(send, await self._edge.answer(request, match, body), scope)

    async def _read(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise ClientClosed("the client left before its request was complete")
            part: bytes = event.get("body", b"")
            size += len(part)
            if size > self._max_body:
                raise ClientError(
                    f"the request body is larger than {self._max_body} bytes", code=413, reason="BODY_TOO_LARGE"
                )
            parts.append(part)
            if not event.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)


def _request(scope: Scope) -> Request:
    raw_path: bytes | None = scope.get("raw_path")
    # Servers that give no raw path have decoded it already; an escaped slash is lost there.
    path = raw_path.decode("latin-1").partition("?")[0] if raw_path is not None else scope["path"].replace("%", "%25")
    client = scope.get("client")
    return Request(
        method=scope["method"],
        path=path,
        query=scope["query_string"].decode("latin-1"),
        headers=scope["headers"],
        peer=Peer(f"{client[0]}:{client[1]}" if client else ""),
    )


async def _write(send: Send, response: Response, scope: Scope) -> None:
    length = (b"content-length", str(len(response.body)).encode("ascii"))
    headers = [*response.headers, length]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})
