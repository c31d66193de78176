r"""Streamed requests: one call on one WebSocket, the way Kratos speaks it.

Each message is a frame with its JSON; ``\x1eend`` says that the client has sent all; ``\x1eerror:`` and the text of an
error, then close code 1011, that the call has failed; close code 1000 that it has ended well. See ``frames``.

The connection is accepted when the handler first reads or sends, so that what middleware and handlers refuse before is
an ordinary HTTP error, a 401 and not a WebSocket that opens and breaks. Where neither happens it is accepted after
``ACCEPT_SECONDS``, because clients do not wait for ever. A client that closes, whatever the code, has left: the handler
is cancelled.

Path variables are bound onto every message. The query is bound onto the first one only: Go's clients repeat there what
the first message says, and every later message would become it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from kratos.codec.raw import RawCodec
from kratos.errors import ClientClosed, Error, Forbidden
from kratos.handler import Messages, conceal
from kratos.transport.http.edge import Edge, Request, Response, Target, reply_headers
from kratos.transport.http.frames import END, ERROR_PREFIX, error_text
from kratos.transport.http.problem import stopping
from kratos.transport.http.route import Match
from kratos.transport.http.stream import Pulse, leave

__all__ = ["Socket", "refuse"]

Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]

ACCEPT_SECONDS: Final = 1.0
"""How long the handshake may wait for the call to be let through; Go's clients give up after two."""

_MAX_REASON = 123
"""The most bytes of text that a close frame holds."""


class Socket:
    """One call on one WebSocket.

    Args:
        edge: What dispatches.
        request: The handshake.
        match: What it is for.
        receive: Reads events of ASGI.
        send: Writes them. It waits while the reader is slow, and so does the handler.
        plain: Whether the server can answer the handshake with an HTTP response.
        allowed: Whether a page of another site may open it.
    """

    __slots__ = (
        "_accepted", "_binding", "_call", "_edge", "_ended", "_endpoint", "_plain", "_query", "_receive", "_send",
        "_task", "_turn", "_values",
    )  # fmt: skip

    def __init__(
        self,
        edge: Edge,
        request: Request,
        match: Match[Target],
        *,
        receive: Receive,
        send: Send,
        plain: bool,
        allowed: bool = False,
    ) -> None:
        self._edge = edge
        self._endpoint = match.target.endpoint
        self._binding = match.target.binding
        self._values = match.values
        self._query = request.query
        self._receive = receive
        self._send = send
        self._plain = plain
        self._accepted = False
        self._ended = False
        self._task = asyncio.current_task()
        self._turn = asyncio.Lock()  # whoever comes first accepts
        self._call = edge.open(request, match, self._sink)
        if not allowed and not _same_origin(request):
            self._call.rejected = Forbidden(
                "a page of another site may not open WebSockets here", reason="ORIGIN_NOT_ALLOWED"
            )

    async def run(self) -> None:
        """Runs the call.

        Raises:
            asyncio.CancelledError: The client has left, or the server stops.
        """
        waiting = Pulse(ACCEPT_SECONDS, self._accept, repeat=False)
        try:
            reply = await self._edge.dispatcher.dispatch(self._endpoint, Messages(self), self._call)
            if not self._call.operation.server_streams:
                await self._sink(reply)
            await self._accept()
            await self._send({"type": "websocket.close", "code": 1000, "reason": ""})
        except Error as error:
            await self._fail(error)
        except asyncio.CancelledError:
            await self._fail(stopping())  # reaches the client where it is the server that ends the call
            raise
        except OSError:
            pass  # the client left after all was said
        except Exception as failure:  # whatever a handler returned that is no reply
            await self._fail(conceal(failure, self._call))
        finally:
            await waiting.stop()

    def __aiter__(self) -> Socket:
        return self

    async def __anext__(self) -> Any:
        """Returns the next request message.

        Raises:
            StopAsyncIteration: The client has sent all.
            BadRequest: The frame cannot be read.
            ClientClosed: The client says that it has failed.
            asyncio.CancelledError: The client has left.
        """
        if self._ended:
            raise StopAsyncIteration
        try:
            await self._accept()
            event = await self._receive()
        except OSError:
            await leave(self._task)
        if event["type"] == "websocket.disconnect":
            await leave(self._task)
        text: str | None = event.get("text")
        if text == END:
            self._ended = True
            raise StopAsyncIteration
        if text is not None and text.startswith(ERROR_PREFIX):
            self._ended = True
            raise ClientClosed("the client has ended the stream with an error", reason="CLIENT_FAILED")
        query, self._query = self._query, ""
        data: bytes = event["bytes"] if text is None else text.encode("utf-8")
        codec = RawCodec() if self._binding.raw else self._edge.json.codec
        return self._binding.build(codec, data, query, self._values)

    async def _sink(self, reply: Any) -> None:
        data = self._binding.reply.write(self._edge.json, reply)[1]
        try:
            await self._accept()
            content = {"bytes": data} if self._binding.reply.raw else {"text": data.decode("utf-8")}
            await self._send({"type": "websocket.send", **content})
        except OSError:
            await leave(self._task)

    async def _accept(self) -> None:
        if self._accepted:
            return
        async with self._turn:
            if not self._accepted:
                await self._send({"type": "websocket.accept", "headers": reply_headers(self._call)})
                self._accepted = True

    async def _fail(self, error: Error) -> None:
        with suppress(OSError):  # nobody is there to be told
            async with self._turn:
                if not self._accepted:
                    self._accepted = True
                    response = self._edge.refuse(error, self._edge.negotiate(self._call), self._call)
                    await refuse(self._send, response, plain=self._plain)
                    return
            text = error_text(error)
            fits = len(text.encode("utf-8")) <= _MAX_REASON
            await self._send({"type": "websocket.send", "text": ERROR_PREFIX + text})
            await self._send({"type": "websocket.close", "code": 1011, "reason": text if fits else ""})


async def refuse(send: Send, response: Response, *, plain: bool) -> None:
    """Answers a handshake with an ordinary response, or with the bare 403 that every server can.

    Args:
        send: Writes events of ASGI.
        response: What to answer.
        plain: Whether the server can.
    """
    if not plain:
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    headers = [*response.headers, (b"content-length", str(len(response.body)).encode("ascii"))]
    await send({"type": "websocket.http.response.start", "status": response.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": response.body, "more_body": False})


def _same_origin(request: Request) -> bool:
    """Tells whether a handshake comes from no page, or from a page of this host.

    Browsers let any page open WebSockets to anywhere, with the user's cookies; ``Origin`` is how to tell.
    """
    headers = dict(request.headers)
    origin = headers.get(b"origin")
    if origin is None:
        return True
    try:
        host = urlsplit(origin.decode("latin-1")).netloc
    except ValueError:
        return False
    return host.lower() == headers.get(b"host", b"").decode("latin-1").lower()
