r"""Streamed replies over plain HTTP: server-sent events, or JSON lines for who asks for them.

SSE is what Kratos speaks and what browsers read by ``EventSource``: each reply is an event ``message``, a failure after
the first one an event ``error`` with the whole error. ``Accept: application/x-ndjson`` gets one reply per line and a
failure as a last line ``{"error": {...}}``. Replies are JSON in both.

The head goes out with the first reply, so that a call which fails before is an ordinary HTTP error; or after one
heartbeat's time of silence, because proxies and browsers do not wait for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from kratos.codec.negotiate import accepted
from kratos.codec.raw import OCTET_STREAM
from kratos.errors import Error
from kratos.metadata import Metadata
from kratos.transport.http.edge import Edge, Request, Response, Target, reply_headers
from kratos.transport.http.frames import sse_event
from kratos.transport.http.problem import stopping, to_status
from kratos.transport.http.route import Match
from kratos.transport.http.stream import Pulse, leave

__all__ = ["EventStream"]

Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Form:
    """How a stream is written."""

    content_type: bytes
    message: Callable[[bytes], bytes]
    error: Callable[[bytes], bytes]
    beat: bytes


_FORMS = {
    "text/event-stream": _Form(
        b"text/event-stream",
        lambda data: sse_event("message", data),
        lambda data: sse_event("error", data),
        b":\n",  # a comment; without a blank line, so that no parser takes it for an event
    ),
    "application/x-ndjson": _Form(
        b"application/x-ndjson",
        lambda data: data + b"\n",
        lambda data: b'{"error":' + data + b"}\n",
        b"",  # nothing that every reader of lines would skip
    ),
}
_SSE, _NDJSON = _FORMS
_RAW: Final = _Form(b"", lambda data: data, lambda data: data, b"")
"""The bytes of raw bodies (``google.api.HttpBody``), one after another: a download."""


_LIVE: Final = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))


class EventStream:
    """The response of one call with streamed replies.

    Args:
        edge: What dispatches.
        request: The request.
        match: What it is for.
        respond: Writes an ordinary response, for calls that fail before their first reply.
        send: Writes the parts of a streamed one. It waits while the reader is slow, and so does the handler.
        heartbeat: Seconds of silence after which a sign of life is sent.
    """

    __slots__ = (
        "_call", "_content_type", "_edge", "_form", "_match", "_pulse", "_reply", "_request", "_respond", "_send",
        "_started", "_task", "_turn",
    )  # fmt: skip

    def __init__(
        self,
        edge: Edge,
        request: Request,
        match: Match[Target],
        *,
        respond: Callable[[Response], Awaitable[None]],
        send: Send,
        heartbeat: float,
    ) -> None:
        self._edge = edge
        self._request = request
        self._match = match
        self._reply = match.target.binding.reply
        self._respond = respond
        self._send = send
        self._call = edge.open(request, match, self._sink)
        self._form = _form(self._call.headers, raw=self._reply.raw)
        self._content_type = self._form.content_type
        self._started = False
        self._task = asyncio.current_task()
        self._turn = asyncio.Lock()  # between the handler and the pulse
        self._pulse = Pulse(heartbeat, self._beat)

    async def run(self, body: bytes) -> None:
        """Runs the call and writes its replies.

        Args:
            body: The body of the request.

        Raises:
            asyncio.CancelledError: The client has left, or the server stops.
        """
        call = self._call
        message = self._edge.read(call, self._request, self._match, body)
        try:
            await self._edge.dispatcher.dispatch(self._match.target.endpoint, message, call)
        except Error as error:
            await self._pulse.stop()
            await self._fail(error)
        except asyncio.CancelledError:
            await self._pulse.stop()
            await self._fail(stopping())  # reaches the client where it is the server that ends the call
            raise
        else:
            await self._pulse.stop()
            await self._end(b"")

    async def _sink(self, message: Any) -> None:
        content_type, data = self._reply.write(self._edge.json, message)
        data = self._form.message(data)
        async with self._turn:
            try:
                self._content_type = self._content_type or content_type.encode("latin-1")
                await self._start()
                await self._part(data, more=True)
            except OSError:
                await leave(self._task)
        self._pulse.touch()

    async def _beat(self) -> None:
        if self._turn.locked() or self._form is _RAW:
            return  # the handler is writing to a slow reader, who will be missed; or nothing can be said yet
        async with self._turn:
            await self._start()
            if self._form.beat:
                await self._part(self._form.beat, more=True)

    async def _fail(self, error: Error) -> None:
        if self._started and self._form is _RAW:
            return  # a body that does not end is the only way to say that it is not whole
        if self._started:
            await self._end(self._form.error(self._edge.json.codec.encode(to_status(error))))
            return
        with suppress(OSError):
            await self._respond(self._edge.refuse(error, self._edge.negotiate(self._call), self._call))

    async def _end(self, data: bytes) -> None:
        with suppress(OSError):  # nobody is there to see the end
            await self._start()
            await self._part(data, more=False)

    async def _start(self) -> None:
        if self._started:
            return
        self._started = True
        headers = [
            (b"content-type", self._content_type or OCTET_STREAM.encode("ascii")),
            *(() if self._form is _RAW else _LIVE),
            *reply_headers(self._call),
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._part(b"", more=True)  # some servers hold the head back until the body begins

    async def _part(self, data: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})


def _form(headers: Metadata, *, raw: bool) -> _Form:
    """Returns the form that a client asks for: SSE unless it prefers lines; raw bodies unless it asks for SSE."""
    if raw and _SSE not in (headers.get("accept") or ""):
        return _RAW
    return _FORMS[accepted(", ".join(headers.values("accept")), (_SSE, _NDJSON)) or _SSE]
