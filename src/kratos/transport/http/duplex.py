"""Calls whose requests are streamed, as WebSockets in the framing of Go Kratos.

Every message is a text frame of JSON. The client ends its side by a frame that says so, the server ends the call by
closing with code 1000; a failure is a frame of text, see ``frames``. A call that is given up is cut and not closed:
Go servers take a proper close for the end of the requests, and would act on half of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import aiohttp
from yarl import URL

from kratos.call import Call
from kratos.codec.base import Codec, CodecSet
from kratos.codec.raw import RawCodec
from kratos.errors import BadRequest, Error, ServerError, restore
from kratos.handler import Messages
from kratos.transport.channel import hurry
from kratos.transport.deadline import expired
from kratos.transport.http.exchange import PROTOJSON, fill_reply, read_body, request_headers, usual_headers
from kratos.transport.http.failures import BROKEN, answered, broken, lost, told, too_large
from kratos.transport.http.frames import END, ERROR_PREFIX, parse_error_text
from kratos.transport.http.path import Rule

__all__ = ["Duplex"]

CLOSE_SECONDS: Final = 2.0
"""How long the other side has to answer our close."""

_NORMAL: Final = 1000
_TOO_BIG: Final = 1009
# What closes tell beside "it ended well", as HTTP statuses: going away, message too big, restart, try again later.
_STATUSES: Final = {1001: 503, _TOO_BIG: 413, 1012: 503, 1013: 503}


class Duplex:
    """One call over one WebSocket.

    Args:
        call: The call.
        rule: How its messages become a path and frames.
        codec: What writes and reads frames.
        codecs: What reads the body of a refusal.
        peer: The server, for error messages.
        max_message: The largest frame to receive, in bytes.
        connect_timeout: Seconds for the handshake, connecting included.
        server_name: The name to expect in the server's certificate, where it is not the host.
    """

    def __init__(
        self,
        call: Call,
        rule: Rule,
        codec: Codec,
        codecs: CodecSet,
        *,
        peer: str,
        max_message: int,
        connect_timeout: float,
        server_name: str | None = None,
    ) -> None:
        self._call = call
        self._rule = rule
        self._codec = codec
        self._codecs = codecs
        self._peer = peer
        self._max_message = max_message
        self._connect_timeout = connect_timeout
        self._server_name = server_name
        self._response: aiohttp.ClientResponse | None = None
        self._refusal = b""

    async def run(self, connector: aiohttp.BaseConnector, base: str, requests: Messages[Any]) -> Any:
        """Carries the call from start to end; see ``Channel.stream``.

        Args:
            connector: Where the connection comes from.
            base: What goes before the path.
            requests: The messages to send. Where the path needs one, nothing is opened before the first of them.
        """
        scope = asyncio.timeout_at(self._call.deadline)
        try:
            async with scope:
                first = await self._first(requests)
                target = self._rule.target(self._call.operation.request() if first is None else first)
                return await self._talk(connector, URL(base + target, encoded=True), first, requests)
        except TimeoutError:
            if scope.expired():
                raise expired(self._call) from None
            raise

    async def _first(self, requests: Messages[Any]) -> Any | None:
        if not self._rule.needs_message:
            return None  # Open at once: the server may be the one to speak first.
        async for message in requests:
            return message
        if self._rule.has_variables:
            raise BadRequest(
                f"{self._call.operation.name} needs a message to fill its path from, and the stream ended without one",
                reason="PATH_VARIABLE",
            )
        return None

    async def _talk(self, connector: aiohttp.BaseConnector, url: URL, first: Any, requests: Messages[Any]) -> Any:
        sender: asyncio.Task[None] | None = None
        try:
            socket = await self._open(connector, url)
            sender = asyncio.create_task(self._send(socket, first, requests), name=f"send to {self._peer}")
            return await self._receive(socket, sender)
        finally:
            self._cut()
            if sender is not None:
                sender.cancel()
                await asyncio.wait([sender])
                _ = sender.cancelled() or sender.exception()  # whatever it was, it has been told or does not matter

    async def _open(self, connector: aiohttp.BaseConnector, url: URL) -> aiohttp.ClientWebSocketResponse:
        headers = request_headers(self._call, content_type=PROTOJSON)
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(self._note)
        # A session of its own costs little, shares the connections, and lets us see the response: what aiohttp raises
        # for a refused handshake lacks the body, and what it returns for an accepted one cannot be cut.
        session = aiohttp.ClientSession(
            connector=connector,
            connector_owner=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=usual_headers(PROTOJSON),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=hurry(self._call)),
            trace_configs=[trace],
        )
        try:
            async with asyncio.timeout(self._connect_timeout):
                return await session.ws_connect(
                    url,
                    headers=headers,
                    autoclose=False,
                    max_msg_size=self._max_message,
                    server_hostname=self._server_name,
                )
        except aiohttp.WSServerHandshakeError as failure:
            raise self._refused(failure) from failure
        except BROKEN as failure:
            raise broken(failure, self._call, self._peer, tls=url.scheme == "https") from failure
        finally:
            await session.close()

    async def _note(self, _session: object, _context: object, end: aiohttp.TraceRequestEndParams) -> None:
        self._response = end.response
        fill_reply(self._call, end.response)
        if end.response.status != 101:
            try:
                self._refusal = await read_body(end.response, self._max_message) or b""
            except BROKEN:
                self._refusal = b""  # the status says enough

    def _refused(self, failure: aiohttp.WSServerHandshakeError) -> Error:
        if failure.status < 300:
            return ServerError(
                f"{self._peer} does not take {self._call.operation.name} as a WebSocket: {failure.message}",
                code=502,
                reason="BAD_REPLY",
            )
        headers: Mapping[str, str] = failure.headers or {}
        return answered(failure.status, headers, self._refusal, codecs=self._codecs, call=self._call, peer=self._peer)

    def _cut(self) -> None:
        """Ends the connection without a word; one that was closed properly stays so."""
        if self._response is not None:
            self._response.close()

    async def _send(self, socket: aiohttp.ClientWebSocketResponse, first: Any, requests: Messages[Any]) -> None:
        try:
            if first is not None:
                await self._put(socket, self._encoded(first))
            async for message in requests:
                await self._put(socket, self._encoded(message))
            await self._put(socket, END)
        except BaseException:
            self._cut()  # so that the other task stops receiving, and looks here for the reason
            raise

    def _encoded(self, message: Any) -> str | bytes:
        if self._rule.raw_body:
            return self._rule.encode(message, RawCodec())
        return self._rule.encode(message, self._codec).decode()

    async def _put(self, socket: aiohttp.ClientWebSocketResponse, frame: str | bytes) -> None:
        with suppress(*BROKEN):  # whoever receives learns why the connection has ended
            await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse, sender: asyncio.Task[None]) -> Any:
        call = self._call
        while True:
            frame = await socket.receive()
            if frame.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                reply = self._reply(frame.data)
                if not call.operation.server_streams:
                    await self._close(socket)
                    return reply
                await call.stream_reply(reply)
            elif frame.type is aiohttp.WSMsgType.CLOSE and frame.data == _NORMAL and call.operation.server_streams:
                await self._close(socket)
                return None
            else:
                failure = sender.exception() if sender.done() and not sender.cancelled() else None
                raise failure or self._ended(frame)

    async def _close(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        with suppress(asyncio.TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await socket.close()

    def _reply(self, data: str | bytes) -> Any:
        if isinstance(data, str) and data.startswith(ERROR_PREFIX):
            raise told(data.removeprefix(ERROR_PREFIX), self._call)
        codec = RawCodec() if self._rule.raw_reply else self._codec
        return self._rule.decode(data.encode() if isinstance(data, str) else data, codec)

    def _ended(self, frame: aiohttp.WSMessage) -> Error:
        """Returns the error of a WebSocket that ended otherwise than it should."""
        if frame.type is aiohttp.WSMsgType.ERROR:
            if isinstance(frame.data, aiohttp.WebSocketError) and frame.data.code == _TOO_BIG:
                return too_large(self._peer, self._max_message)
            return lost(self._peer, str(frame.data))
        if frame.type is not aiohttp.WSMsgType.CLOSE or not frame.data:
            return lost(self._peer, "it ended without a closing code")
        if frame.data == _NORMAL:
            return ServerError(f"{self._peer} ended {self._call.operation.name} without a reply", reason="NO_REPLY")
        why: str = frame.extra or ""
        if parse_error_text(why) is not None:
            return told(why, self._call)
        message = f"{self._peer} closed the stream with code {frame.data}{': ' if why else ''}{why}"
        return restore(_STATUSES.get(frame.data, 500), "STREAM_CLOSED", message)
