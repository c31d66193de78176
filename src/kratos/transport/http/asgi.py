"""The ASGI front of the edge: runs under our own server and under any other ASGI server.

What ASGI cannot do is the server's part: limits on headers and time, and telling a handler at work that its client has
gone. Ours does both (``protocol``) and says so in the scope's extensions; under another server streams learn of it by a
write that fails, or from one task that waits for it, and unary calls run to their end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from kratos.call import Call
from kratos.errors import BadRequest, ClientClosed, ClientError, Error
from kratos.handler import Messages
from kratos.transport.http.crossorigin import ORIGIN_ALLOWED
from kratos.transport.http.edge import BODILESS, CLOSE, Edge, Request, Response, Target, content_length, too_large
from kratos.transport.http.events import EventStream
from kratos.transport.http.mounts import pass_on
from kratos.transport.http.own import OwnPages
from kratos.transport.http.peers import ARRIVED, peer_of
from kratos.transport.http.problem import stopping
from kratos.transport.http.route import Match
from kratos.transport.http.upload import Upload
from kratos.transport.http.websocket import Socket, refuse

__all__ = ["CANCELS", "ASGIFront"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CANCELS: Final = "kratos.cancels"
"""The extension of a server that cancels the task of a request whose connection is lost."""

_IN_PATHS: Final = "/:@!$&'()*+,;=~"  # what RFC 3986 lets stand in a path


class ASGIFront:
    """An ASGI application around an edge.

    Args:
        edge: What answers.
        heartbeat: Seconds of silence after which a stream of events sends a sign of life.
        own: What it answers where no service has a path.
    """

    def __init__(
        self,
        edge: Edge,
        *,
        heartbeat: float = 15.0,
        own: OwnPages | None = None,
    ) -> None:
        self._own = own or OwnPages()
        self._edge = edge
        self._limits = edge.limits
        self._heartbeat = heartbeat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request or one WebSocket.

        Raises:
            NotImplementedError: The scope is neither ``http`` nor ``websocket``.
            asyncio.CancelledError: The server stops, or has cancelled the request because its client left.
        """
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            raise NotImplementedError(f"{scope['type']} connections are not served here")

    def methods(self, scope: Scope) -> list[str]:
        """Returns the methods that the path of a request answers, ``*`` being all; none if it is unknown."""
        request = _request(scope, "")  # a method that no rule can have
        try:
            self._edge.match(request)
        except Error as error:
            if error.code == 404 and self._own.get(request.path) is not None:
                return ["GET", "HEAD"]
            return error.metadata["allow"].split(", ") if error.code == 405 else []
        return ["*"]

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _request(scope, scope["method"])
        try:
            answer = await self._answer(request, scope, receive, send)
        except ClientClosed:
            return  # nobody is there to answer
        except asyncio.CancelledError:
            # Reaches the client where it is the server that ends the call.
            await _respond(send, request, self._edge.refuse(stopping()))
            raise
        except Error as error:
            answer = self._refuse(request, error)
        await (_respond(send, request, answer) if isinstance(answer, Response) else answer)

    async def _answer(
        self, request: Request, scope: Scope, receive: Receive, send: Send
    ) -> Response | Coroutine[Any, Any, None]:
        """Returns the response; for a stream and an application what sends it, which sees to its own end."""
        match = self._edge.match(request)
        target = match.target
        if target.uploads and request.method not in ("GET", "HEAD"):
            return await self._upload(request, match, receive)
        respond = partial(_respond, send, request)
        if target.passes:
            return pass_on(self._edge, request, match, scope=scope, receive=receive, send=send, refuse=respond)
        if target.upgrades:
            raise ClientError(f"{target} reads a stream: open a WebSocket here", code=426, reason="UPGRADE_REQUIRED")
        body = await self._read(request, receive)
        request.arrived = _arrived(scope)
        if not target.streams:
            return await self._edge.answer(request, match, body)
        stream = EventStream(self._edge, request, match, respond=respond, send=send, heartbeat=self._heartbeat)
        return stream.run(body) if CANCELS in scope.get("extensions", ()) else _watched(stream.run(body), receive)

    async def _upload(self, request: Request, match: Match[Target], receive: Receive) -> Response:
        headers = dict(request.headers)
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        upload = Upload(
            match.target.binding,
            content_type,
            request.query,
            match.values,
            receive=receive,
            max_total=self._limits.value.max_upload,
        )

        def messages(call: Call) -> Messages[Any]:
            if headers.get(b"content-encoding", b"identity") != b"identity" and call.rejected is None:
                call.rejected = ClientError(
                    "a body that is read as it comes cannot be compressed", code=415, reason="UNSUPPORTED_MEDIA_TYPE"
                )
            return Messages(upload)

        response = await self._edge.answer(request, match, b"", messages)
        if not upload.ended:
            response.headers.append(CLOSE)  # the rest of the body is not going to be read
        return response

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        connect = await receive()  # "websocket.connect", always
        request = _request(scope, "GET")
        extensions = scope.get("extensions", ())
        plain, allowed = "websocket.http.response" in extensions, ORIGIN_ALLOWED in extensions
        try:
            match = self._edge.match(request)
            if not match.target.upgrades and not match.target.passes:
                raise BadRequest(f"{match.target} is served by plain HTTP, not on WebSockets", reason="NO_WEBSOCKET")
        except Error as error:
            with suppress(OSError):
                await refuse(send, self._edge.refuse(error), plain=plain)
            self._edge.refusals.count(error)
            return
        if not match.target.passes:
            socket = Socket(self._edge, request, match, receive=receive, send=send, plain=plain, allowed=allowed)
            await socket.run()
            return
        turn_down = partial(refuse, send, plain=plain)
        again = _again(connect, receive)
        try:
            await pass_on(self._edge, request, match, scope=scope, receive=again, send=send, refuse=turn_down)
        except Error:
            with suppress(OSError):
                await send({"type": "websocket.close", "code": 1011, "reason": ""})

    async def _read(self, request: Request, receive: Receive) -> bytes:
        """Returns the request body.

        Raises:
            ClientClosed: The client left before it was complete.
            ClientError: 413: it is too large, or says that it will be.
        """
        most = self._limits.value.max_body
        if request.method not in ("GET", "HEAD") and content_length(request) > most:
            raise too_large(most)
        parts: list[bytes] = []
        size = 0
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise ClientClosed("the client left before its request was complete")
            part: bytes = event.get("body", b"")
            size += len(part)
            if size > most:
                raise too_large(most)
            parts.append(part)
            if not event.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def _refuse(self, request: Request, error: Error) -> Response:
        """Returns the response to a request that is for no operation, or cannot be read to its end."""
        if error.code == 404 and request.method in ("GET", "HEAD"):
            page = self._own.get(request.path)
            if page is not None:
                return page
        if error.code == 405 and request.method == "OPTIONS":
            return Response(204, [(b"allow", error.metadata["allow"].encode("latin-1"))], b"")
        self._edge.refusals.count(error)
        response = self._edge.refuse(error)
        if error.code == 413:
            response.headers.append(CLOSE)  # the rest of the body is not going to be read
        return response


def _again(event: MutableMapping[str, Any], receive: Receive) -> Receive:
    """Returns what gives an event that has been received once more, and then what follows."""
    events = [event]

    async def receive_again() -> MutableMapping[str, Any]:
        return events.pop() if events else await receive()

    return receive_again


def _request(scope: Scope, method: str) -> Request:
    raw_path: bytes | None = scope.get("raw_path")
    # Servers that give no raw path have decoded it already; an escaped slash is lost there.
    path = quote(scope["path"], safe=_IN_PATHS) if raw_path is None else raw_path.decode("latin-1").partition("?")[0]
    if scope.get("root_path"):  # another application has us below a prefix
        path = path.removeprefix(quote(scope["root_path"].rstrip("/"), safe=_IN_PATHS)) or "/"
    return Request(
        method=method,
        path=path,
        query=scope["query_string"].decode("latin-1"),
        headers=scope["headers"],
        peer=peer_of(scope),
        arrived=_arrived(scope),
    )


def _arrived(scope: Scope) -> float | None:
    """Returns when the last came of what there is of a request; None under another server than ours."""
    moments: list[float] | None = scope.get(ARRIVED)
    return moments[0] if moments else None


async def _respond(send: Send, request: Request, response: Response) -> None:
    headers = response.headers
    if response.status not in BODILESS:
        headers = [*headers, (b"content-length", str(len(response.body)).encode("ascii"))]
    body = b"" if request.method == "HEAD" else response.body
    try:
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    except OSError:
        pass  # nobody is there to read it


async def _watched(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Does the work of a request, and is cancelled when its client leaves."""
    task = asyncio.current_task()

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        if task is not None and not task.cancelling():
            task.cancel()

    watcher = asyncio.create_task(watch(), name="kratos http disconnect")
    try:
        await work
    finally:
        watcher.cancel()
        await asyncio.wait([watcher])
