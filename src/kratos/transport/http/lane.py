"""The fast lane: unary calls straight from the parser to the edge and back, without ASGI between.

A request costs one task and one write. What is no unary call (streams, uploads, mounted applications, WebSockets, pages
of the server, paths that nobody has) goes by the ASGI front on the same connection, in its turn. Both fronts stand on
the same edge and give the same answers, byte for byte; CORS and trusted proxies count here as they do there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from kratos.call import Peer
from kratos.errors import ClientClosed, Error
from kratos.transport.http.cors import Policy
from kratos.transport.http.edge import (
    BODILESS,
    CLOSE,
    Edge,
    Header,
    Request,
    Response,
    Target,
    content_length,
    too_large,
)
from kratos.transport.http.peers import forwarded
from kratos.transport.http.problem import stopping
from kratos.transport.http.proxies import Proxies
from kratos.transport.http.route import Match

__all__ = ["Lane", "Turn"]


class Turn:
    """One request on the lane. A connection treats it as it does uvicorn's cycle, whose words these are.

    Args:
        request: What was asked.
        match: What it is for.

    Attributes:
        request: What was asked.
        match: What it is for.
        size: The bytes of the body so far.
        more_body: Whether more of it is to come.
        expects: Whether the client waits for ``100 Continue`` before it sends the body.
        keep_alive: Whether the connection goes on after the answer.
        disconnected: Whether nobody waits for the answer any more.
        response_started: Whether something has been answered.
        response_complete: Whether all has been.
    """

    __slots__ = (
        "_body", "_waiter", "disconnected", "expects", "keep_alive", "match", "more_body", "request",
        "response_complete", "response_started", "size",
    )  # fmt: skip

    def __init__(self, request: Request, match: Match[Target]) -> None:
        self.request = request
        self.match = match
        self.size = 0
        self.more_body = self.keep_alive = True
        self.expects = self.disconnected = self.response_started = self.response_complete = False
        self._body: bytes | bytearray = b""
        self._waiter: asyncio.Future[None] | None = None

    @property
    def message_event(self) -> Turn:
        """What is ``set`` when there is news: the turn itself, because hardly any request waits for its body."""
        return self

    def set(self) -> None:
        """Wakes up who waits for the body."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def add(self, part: bytes) -> None:
        """Takes a part of the body."""
        if not self._body:
            self._body = part  # it hardly ever comes in two
        elif isinstance(self._body, bytes):
            self._body = bytearray(self._body + part)
        else:
            self._body += part
        self.size += len(part)
        self.set()

    async def news(self) -> None:
        """Waits until something has come, or until nothing will."""
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def body(self) -> bytes:
        """Returns what has come."""
        return bytes(self._body)


class Lane:
    """What all connections of a server share.

    Args:
        edge: What answers.
        proxies: Who is believed about the client's address.
        policy: What is said to pages of other sites; None is nothing.
    """

    def __init__(self, edge: Edge, *, proxies: Proxies, policy: Policy | None = None) -> None:
        self._edge = edge
        self._limits = edge.limits
        self._proxies = proxies or None
        self._policy = policy
        self._usual: list[Header] = []
        self._first = b""

    def enter(self, method: bytes, url: bytes, headers: Sequence[Header], peer: Peer) -> Turn | None:
        """Returns the turn of a request; None if it has to go by ASGI.

        Args:
            method: The verb.
            url: The request target, without a fragment.
            headers: Names in lower case.
            peer: The other end of the connection.
        """
        if url[:1] != b"/" or not url.isascii() or (self._policy is not None and method == b"OPTIONS"):
            return None
        path, _, query = url.decode().partition("?")
        try:
            if self._proxies is not None:
                peer = forwarded(self._proxies, peer, headers)
            request = Request(method.decode(), path, query, headers, peer)
            match = self._edge.match(request)
        except Exception:  # an unknown path, or a defect of ours: the other front meets it again, and says so
            return None
        return Turn(request, match) if match.target.unary else None

    async def answer(self, turn: Turn, go_on: Callable[[Turn], None]) -> Response | None:
        """Returns the response to a request; None if nobody is there to read it.

        Args:
            turn: The request.
            go_on: Called before waiting for more of its body.
        """
        try:
            if turn.more_body or turn.expects or turn.size > self._limits.value.max_body:
                await self._read(turn, go_on)
            return await self._edge.answer(turn.request, turn.match, turn.body())
        except asyncio.CancelledError:
            return self._edge.refuse(stopping())  # reaches the client where it is the server that ends the call
        except ClientClosed:
            return None
        except Error as error:
            self._edge.refusals.count(error)
            response = self._edge.refuse(error)
            response.headers.append(CLOSE)  # the rest of the body is not going to be read
            turn.keep_alive = False
            return response

    async def _read(self, turn: Turn, go_on: Callable[[Turn], None]) -> None:
        most = self._limits.value.max_body
        if turn.request.method not in ("GET", "HEAD") and content_length(turn.request) > most:
            raise too_large(most)
        go_on(turn)
        while turn.size <= most:
            if turn.disconnected:
                raise ClientClosed("the client left before its request was complete")
            if not turn.more_body:
                return
            await turn.news()
        raise too_large(most)

    def write(self, turn: Turn, response: Response, usual: list[Header]) -> bytes:
        """Returns a response as it goes out.

        Args:
            turn: The request.
            response: Its response.
            usual: The headers that every response has; the same list for as long as they are the same.
        """
        status, body = response.status, response.body
        if usual is not self._usual:  # once a second: they have the date
            self._usual, self._first = usual, b"".join([b"%b: %b\r\n" % header for header in usual])
        parts = [STATUS_LINE[status], self._first]
        for name, value in response.headers:
            parts += (name, b": ", value, b"\r\n")
        if status not in BODILESS:
            parts.append(b"content-length: %d\r\n" % len(body))
        if self._policy is not None:
            origin = dict(turn.request.headers).get(b"origin")
            parts += [b"%b: %b\r\n" % header for header in self._policy.beside(response.headers, origin)]
        if not turn.keep_alive and CLOSE not in response.headers:
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        if turn.request.method != "HEAD":
            parts.append(body)
        return b"".join(parts)
