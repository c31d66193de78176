"""The HTTP channel: calls to one server over a pool of kept-alive connections.

Unary calls and streams of replies are ordinary requests; where requests are streamed, a call is a WebSocket (see
``duplex``). What a message becomes is said in ``path``, what a failure means in ``failures``.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from kratos.call import Call, Peer
from kratos.codec.base import Codec
from kratos.codec.default import DEFAULT_CODECS
from kratos.codec.json import JsonCodec
from kratos.codec.raw import RawCodec
from kratos.errors import Error, ServerError
from kratos.handler import Messages
from kratos.transport.channel import hurry
from kratos.transport.http.duplex import Duplex
from kratos.transport.http.exchange import (
    PROTOJSON,
    fill_reply,
    read_body,
    request_headers,
    seconds_left,
    usual_headers,
)
from kratos.transport.http.failures import BROKEN, answered, broken, closed, lost, streamed, too_large
from kratos.transport.http.format import Envelope, wrapping
from kratos.transport.http.path import Rule, rule_of
from kratos.transport.http.sse import Event, EventParser

__all__ = ["HTTPChannel"]

_EVENTS: Final = "text/event-stream"
_PORTS: Final = {"http": 80, "https": 443}
# By tenths of the seconds that a connection may take: to make one of these takes as long as to pick a node.
_HURRIED: Final = tuple(aiohttp.ClientTimeout(total=None, sock_connect=tenths / 10) for tenths in range(11))


class HTTPChannel:
    """Calls to one server over HTTP/1.1; see ``Channel``.

    Redirects are not followed, cookies are not kept, and proxies in the environment do not count. A channel belongs to
    the event loop of its first call.

    Args:
        base_url: ``http://host:port`` or ``https://host:port``; a path goes before every path of the contract. Or
            ``unix:/path``, which is a socket.
        codec: How messages are written; JSON if not given. Streams are always JSON: their frames are text.
        max_message: The largest reply, event or frame to receive, in bytes, after decompression.
        connect_timeout: Seconds for a connection to come about, WebSocket handshake included; a call's deadline may
            end it sooner, and so does ``hurry``.
        keep_alive: Seconds that an idle connection is kept. Below the five seconds after which many servers close it:
            a request that meets such a close is lost.
        max_connections: The most connections at a time, streams included; further calls wait. 0 is no limit.
        tls: How to trust an ``https`` server; the system's authorities if not given.
        server_name: The name to expect in its certificate, where it is not the host.
        envelope: What the server puts around its replies, as it was told.

    Attributes:
        kind: ``http``.
        peer: The server, ``host:port``.

    Raises:
        ValueError: The URL is of another form.
    """

    kind = "http"

    def __init__(
        self,
        base_url: str,
        *,
        codec: Codec | None = None,
        max_message: int = 64 * 1024 * 1024,
        connect_timeout: float = 10.0,
        keep_alive: float = 4.0,
        max_connections: int = 0,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        envelope: Envelope | None = None,
    ) -> None:
        self._envelope = envelope
        self._base, address = _parse(base_url)
        self._root = URL(self._base, encoded=True)
        self._prefix = self._root.raw_path.rstrip("/")
        self.peer = Peer(address)
        self._codec = codec or JsonCodec()
        self._text_codec = self._codec if self._codec.name == "json" else JsonCodec()
        self._codecs = DEFAULT_CODECS.with_(self._codec)
        self._max_message = max_message
        self._connect_timeout = connect_timeout
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)
        self._keep_alive = keep_alive
        self._max_connections = max_connections
        self._tls = tls
        self._server_name = server_name
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def unary(self, request: Any, call: Call) -> Any:
        """Sends one request and returns the reply; see ``Channel``.

        Raises:
            Error: As the server answered. ``BadRequest`` where the message does not fit the path, before anything is
                sent. ``ServiceUnavailable`` with the reason ``CONNECTION_FAILED`` where there was no connection, and
                ``CONNECTION_LOST`` where it broke. ``InternalServer`` for a reply that cannot be read.
        """
        rule = rule_of(call.operation)
        return await self._reply(rule, await self._open(rule, request, call, self._codec), call)

    async def stream(self, request: Any, call: Call) -> Any:
        """Carries one streaming call, over server-sent events or a WebSocket; see ``Channel``.

        Streams of ``google.api.HttpBody`` in one direction are the body of a request or of a response.
        """
        rule = rule_of(call.operation)
        if rule.raw_body and not call.operation.server_streams:
            first = await anext(aiter(request), None)
            message = call.operation.request() if first is None else first
            return await self._reply(rule, await self._open(rule, message, call, self._codec, rest=request), call)
        if call.operation.client_streams:
            return await self._converse(rule, request, call)
        accept = "*/*" if rule.raw_reply else _EVENTS
        response = await self._open(rule, request, call, self._text_codec, accept=accept)
        try:
            await self._receive(rule, response, call)
        finally:
            response.close()
        return None

    async def aclose(self) -> None:
        """Closes every connection; see ``Channel``."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _open(
        self,
        rule: Rule,
        request: Any,
        call: Call,
        codec: Codec,
        *,
        accept: str = "",
        rest: AsyncIterable[Any] | None = None,
    ) -> aiohttp.ClientResponse:
        """Sends a request, ``rest`` being further pieces of a raw body; returns the response once its head is there."""
        target = rule.target(request)
        body = rule.encode(request, RawCodec() if rule.raw_body else codec) if rule.has_body or rest else None
        content_type = rule.content_type(request) if rule.raw_body else _content_type(codec)
        headers = request_headers(call, accept=accept, content_type="" if body is None else content_type)
        try:
            response = await self._connected().request(
                rule.method,
                self._url(target),
                data=body if rest is None else _pieces(rule, body or b"", rest),
                headers=headers,
                allow_redirects=False,
                server_hostname=self._server_name,
                timeout=self._patience(call),
            )
        except BROKEN as failure:
            raise self._broken(failure, call) from failure
        fill_reply(call, response)
        return response

    def _patience(self, call: Call) -> aiohttp.ClientTimeout:
        limit = hurry(call)
        if limit is None or limit >= self._connect_timeout:
            limit = self._connect_timeout
        elif call.timed:
            return _HURRIED[int(limit * 10)]
        if call.timed:  # somebody else ends it; aiohttp's timers are a tenth of the cost of a call
            return self._timeout
        return aiohttp.ClientTimeout(total=seconds_left(call), sock_connect=limit)

    async def _reply(self, rule: Rule, response: aiohttp.ClientResponse, call: Call) -> Any:
        """Returns the reply that a response is."""
        try:
            body = await self._read(response, call)
        finally:
            if not response.closed:  # it is where all was read: the connection is back in the pool then
                response.close()
        content_type = response.headers.get("Content-Type")
        if rule.raw_reply:
            return rule.decode(body, RawCodec(content_type or ""))
        codec = self._codecs.for_request(content_type) or self._codec
        envelope = wrapping(self._envelope, call.operation)
        return rule.decode(envelope.unwrap(body) if envelope and body and codec.name == "json" else body, codec)

    async def _read(self, response: aiohttp.ClientResponse, call: Call) -> bytes:
        """Returns the body of a success.

        Raises:
            Error: It is none, or cannot be read.
        """
        try:
            body = await read_body(response, self._max_message)
        except BROKEN as failure:
            raise self._broken(failure, call) from failure
        if not 200 <= response.status <= 299:
            body = body or b""
            if self._envelope is not None:
                body = self._envelope.unwrap_error(body)
            peer = self.peer.address
            raise answered(response.status, response.headers, body, codecs=self._codecs, call=call, peer=peer)
        if body is None:
            raise too_large(self.peer.address, self._max_message)
        return body

    async def _receive(self, rule: Rule, response: aiohttp.ClientResponse, call: Call) -> None:
        """Hands on the replies of a stream of events, until the body ends."""
        if rule.raw_reply and response.content_type != _EVENTS and response.status == 200:
            codec = RawCodec(response.headers.get("Content-Type", ""))
            while piece := await self._chunk(response, call):
                await call.stream_reply(rule.decode(piece, codec))
            return
        if response.content_type != _EVENTS or response.status != 200:
            # A stream without replies is empty: Go Kratos never came to send the head of an event stream.
            if await self._read(response, call):
                raise ServerError(
                    f"{self.peer.address} answered {call.operation.name} with {response.content_type}, not {_EVENTS}",
                    code=502,
                    reason="BAD_REPLY",
                )
            return
        parser = EventParser(self._max_message)
        while chunk := await self._chunk(response, call):
            for event in parser.feed(chunk):
                await self._deliver(rule, event, call)
        if parser.unfinished:
            raise lost(self.peer.address, "the stream ended in the middle of an event")

    async def _chunk(self, response: aiohttp.ClientResponse, call: Call) -> bytes:
        try:
            return await response.content.readany()
        except BROKEN as failure:
            raise self._broken(failure, call) from failure

    async def _deliver(self, rule: Rule, event: Event, call: Call) -> None:
        if event.name == "error":
            raise streamed(event.data, self._codecs, call)
        if event.name in ("", "message"):
            codec = RawCodec() if rule.raw_reply else self._text_codec
            await call.stream_reply(rule.decode(event.data, codec))

    async def _converse(self, rule: Rule, requests: Messages[Any], call: Call) -> Any:
        duplex = Duplex(
            call,
            rule,
            self._text_codec,
            self._codecs,
            peer=self.peer.address,
            max_message=self._max_message,
            connect_timeout=self._connect_timeout,
            server_name=self._server_name,
        )
        connector = self._connected().connector
        assert connector is not None  # noqa: S101 - a session that is open has one
        try:
            return await duplex.run(connector, self._base, requests)
        except Error as failure:
            if self._closed:
                raise closed(self.peer.address) from failure
            raise

    def _broken(self, failure: Exception, call: Call) -> Error:
        if isinstance(failure.__cause__, Error):  # of whoever makes the pieces of an upload
            return failure.__cause__
        if self._closed:
            return closed(self.peer.address)
        return broken(failure, call, self.peer.address, tls=self._base.startswith("https:"))

    def _url(self, target: str) -> URL:
        """Returns where a request goes; to put a path into a URL that is there takes a third of parsing a whole one."""
        if "?" in target:
            return URL(self._base + target, encoded=True)
        return self._root.with_path(self._prefix + target, encoded=True)

    def _connected(self) -> aiohttp.ClientSession:
        """Returns the session; the first call makes it, because that needs the event loop."""
        if self._closed:
            raise closed(self.peer.address)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=usual_headers(_content_type(self._codec)),
                trust_env=False,
            )
        return self._session

    def _connector(self) -> aiohttp.BaseConnector:
        kind, _, path = self.peer.address.partition(":")
        if kind == "unix":
            return aiohttp.UnixConnector(path, limit=self._max_connections, keepalive_timeout=self._keep_alive)
        return aiohttp.TCPConnector(
            limit=self._max_connections, keepalive_timeout=self._keep_alive, ssl=self._tls or True
        )


async def _pieces(rule: Rule, first: bytes, rest: AsyncIterable[Any]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for message in rest:
        yield rule.encode(message, RawCodec())


def _content_type(codec: Codec) -> str:
    return PROTOJSON if PROTOJSON in codec.content_types else codec.content_types[0]


def _parse(base_url: str) -> tuple[str, str]:
    """Returns what goes before every path, and ``host:port``; or the socket."""
    if base_url.startswith("unix:/"):
        return "http://localhost", base_url
    try:
        split = urlsplit(base_url)
        port = split.port or _PORTS.get(split.scheme)
    except ValueError:
        split, port = urlsplit(""), None
    strange = split.query or split.fragment or "@" in split.netloc
    if split.scheme not in _PORTS or not split.hostname or not port or strange:
        raise ValueError(f"{base_url!r} is not http://host:port, https://host:port or unix:/path")
    host = f"[{split.hostname}]" if ":" in split.hostname else split.hostname
    return f"{split.scheme}://{split.netloc}{split.path.rstrip('/')}", f"{host}:{port}"
