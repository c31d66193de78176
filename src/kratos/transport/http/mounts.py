"""Whole ASGI applications below a prefix, inside of the law: a chain of middleware around each of their requests.

An application is one operation with the name ``HTTP * /prefix``. Middleware see the call: its headers, its outcome and
how long it took; they may refuse it, and set reply headers. The bodies are the application's own business: the request
in the chain is an empty message, and no replies pass. There is no time limit, as for streams.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import uvicorn
from uvicorn.lifespan.on import LifespanOn

from kratos.call import Call
from kratos.errors import Error
from kratos.operation import Http
from kratos.pathtemplate import Template
from kratos.transport.http.edge import Edge, Request, Response, Target, reply_headers
from kratos.transport.http.extra import Mounted
from kratos.transport.http.problem import stopping
from kratos.transport.http.route import Match
from kratos.wire.google.api.httpbody_pb import HttpBody

__all__ = ["ASGI", "Lifespans", "Mount", "mount", "pass_on"]

Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]

ASGI: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI 3 application."""

logger: Final = logging.getLogger("kratos.http.mounts")
"""What applications say of their start and end, which is worth a line only if it goes wrong."""

logger.setLevel(logging.WARNING)

_PASSAGE: Final = "kratos.http.passage"


@dataclass(frozen=True, slots=True)
class Mount:
    """An application and its prefix, see ``mount``.

    Attributes:
        operation: What stands for it in the chain and in the logs.
        prefix: Where it is, without a slash at the end.
        app: The application.
    """

    operation: Mounted
    prefix: str
    app: ASGI

    def handler(self, _request: HttpBody, call: Call) -> AsyncIterator[HttpBody]:
        """Returns the replies of a call, of which there are none: the application answers by itself."""
        passage = cast("_Passage", call.state[_PASSAGE])
        passage.mount = self
        return passage


def mount(prefix: str, app: ASGI) -> Mount:
    """Returns an ASGI application to serve below a prefix, for ``HTTPServer(routes=[...])``.

    Routes of the contract and raw routes win where both match. Its lifespan is run with the server.

    Args:
        prefix: A path without variables, ``/admin``; ``/`` is everything that nobody else answers.
        app: The application: FastAPI, Starlette, Django, or a function.

    Raises:
        ValueError: The prefix is no such path.
    """
    path = prefix.rstrip("/")
    template = Template(path or "/")
    if not template.fixed or template.verb:
        raise ValueError(f"prefix {prefix!r} has variables or a verb: an application is mounted below a plain path")
    rules = (Http("*", path or "/"), Http("*", f"{path}/**"))
    operation = Mounted(f"HTTP * {path or '/'}", HttpBody, HttpBody, http=rules)
    return Mount(operation, "".join(f"/{segment}" for segment in template.segments if segment), app)


class _Passage:
    """One request on its way through; what the application says of its outcome is noted on the call.

    Attributes:
        mount: What answers.
        started: Whether something has been answered.
    """

    def __init__(self, scope: Event, receive: Receive, send: Send, call: Call) -> None:
        self.mount: Mount | None = None
        self.started = False
        self._scope = scope
        self._receive = receive
        self._to_client = send
        self._call = call

    def __aiter__(self) -> _Passage:
        return self

    async def __anext__(self) -> HttpBody:
        """Runs the application, and has no reply then.

        Raises:
            StopAsyncIteration: The application is done.
        """
        if self.mount is not None:
            below = self._scope.get("root_path", "") + self.mount.prefix
            await self.mount.app({**self._scope, "root_path": below}, self._receive, self._send)
        raise StopAsyncIteration

    async def _send(self, event: Event) -> None:
        kind = event["type"]
        if not self.started and kind in ("http.response.start", "websocket.accept"):
            self.started = True
            self._call.reply.status = event.get("status")
            event = {**event, "headers": [*event.get("headers", ()), *reply_headers(self._call)]}
        elif kind.startswith("websocket."):
            self.started = True
        await self._to_client(event)


async def pass_on(
    edge: Edge,
    request: Request,
    match: Match[Target],
    *,
    scope: Event,
    receive: Receive,
    send: Send,
    refuse: Callable[[Response], Awaitable[None]],
) -> None:
    """Runs one call of a mounted application.

    Args:
        edge: What dispatches.
        request: The request, or the handshake of a WebSocket.
        match: What it is for.
        scope: The request as ASGI has it.
        receive: Reads events of ASGI.
        send: Writes them.
        refuse: Writes a whole response, for what ends before the application has said anything.

    Raises:
        Error: The call failed after the application had begun to answer.
        asyncio.CancelledError: The client has left, or the server stops.
    """
    call = edge.open(request, match)
    passage = _Passage(scope, receive, send, call)
    call.state[_PASSAGE] = passage
    try:
        await edge.dispatcher.dispatch(match.target.endpoint, HttpBody(), call)
    except Error as error:
        if passage.started:
            raise
        await refuse(edge.refuse(error, edge.negotiate(call), call))
    except asyncio.CancelledError:
        if not passage.started:
            await refuse(edge.refuse(stopping()))  # reaches the client where it is the server that ends the call
        raise


class Lifespans:
    """Start-up and shutdown of mounted applications.

    Args:
        mounts: The applications.
    """

    def __init__(self, mounts: Sequence[Mount]) -> None:
        self._mounts = mounts
        self._running: list[LifespanOn] = []

    async def start(self) -> None:
        """Runs the start-up of each application, in order; one that has none is fine.

        Raises:
            RuntimeError: An application says that it cannot start.
        """
        for mounted in self._mounts:
            config = uvicorn.Config(mounted.app, lifespan="auto", log_config=None, interface="asgi3")
            config.load()
            lifespan = LifespanOn(config)
            lifespan.logger = logger
            await lifespan.startup()
            if lifespan.should_exit:
                await self.stop()
                raise RuntimeError(f"the application mounted at {mounted.prefix or '/'} did not start: see the log")
            self._running.append(lifespan)

    async def stop(self) -> None:
        """Runs the shutdown of each application, the last one first."""
        while self._running:
            await self._running.pop().shutdown()
