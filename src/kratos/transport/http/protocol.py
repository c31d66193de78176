"""Our HTTP/1.1 on uvicorn's: limits from the first byte on, errors in the words of Kratos, and cancellation.

Built on what uvicorn does not promise, so its minor version is pinned. What differs from uvicorn's own protocol:

* Unary calls go by the fast lane (``lane``) and never see ASGI; both kinds of request are answered in their order.
* Request line, headers, time to send them and the framing of the body are limited (``Limits``); what breaks a limit or
  the grammar of HTTP is answered with a Kratos error.
* When the connection is lost, the task of the request under way is cancelled, from that event and not by a watcher. A
  client that has sent its next requests already is noticed once the first of them is answered: reading is paused.
* A connection that ends while the client is still sending is read for some seconds more: closing it at once would reset
  it, and a client that is reset does not see the answer.
* There is no timer per connection or response; the server looks at all connections once a second (``sweep``).
* A request that offers another protocol keeps its body; httptools would take it for the next request.
* A client that takes nothing of its answers is disconnected after a while.
* Trailers do not become headers.
* What one request leaves in context variables does not reach the one that was sent behind it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from contextvars import Context, copy_context
from itertools import chain
from typing import Any, Final, Literal, cast

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from kratos.call import Peer
from kratos.errors import BadRequest, ClientError, Error, InternalServer, ServiceUnavailable
from kratos.transport.http.asgi import CANCELS
from kratos.transport.http.lane import Lane, Turn
from kratos.transport.http.names import USUAL
from kratos.transport.http.outflow import Outflow
from kratos.transport.http.peers import ARRIVED, PEER, peer_at
from kratos.transport.http.problem import stopping, to_response
from kratos.transport.http.settings import ServerConfig

__all__ = ["LINGER_SECONDS", "HTTPProtocol", "logger"]

LINGER_SECONDS: Final = 2.0
"""How long a connection that has had its last answer is read on."""

_READ: Final = 256 * 1024
"""The most bytes that an event loop hands over at once."""

_AHEAD: Final = 1000
"""How many requests may wait for the answers to earlier ones: a queued one takes a hundred times its bytes."""

_OF_BODIES: Final = frozenset((b"content-length", b"transfer-encoding"))
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")  # sixteen bytes in base64
_HOST = re.compile(rb"[\w.~%!$&'()*+,;=:\[\]-]*")

logger: Final = logging.getLogger("kratos.http.wire")
"""What happens outside of any call. Uvicorn's lines on single requests stay below: those are the access log's."""

logger.setLevel(logging.WARNING)


class _Refused(Exception):
    """Ends the parsing of a request."""

    def __init__(self, error: Error) -> None:
        super().__init__(error)
        self.error = error


class HTTPProtocol(HttpToolsProtocol):
    """One connection.

    Args:
        config: A ``ServerConfig``.
        server_state: uvicorn's connections and tasks.
        app_state: Unused by us.
        _loop: The event loop, for uvicorn.
    """

    parser: Any  # httptools has no types
    app: Any
    cycle: Any  # the last request: uvicorn's, or a ``Turn``

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = logger
        self.access_log = False
        self._config = cast("ServerConfig", config)
        self._limits = self._config.limits.value
        self._lane = self._config.lane
        self._context: Context
        self._peer: Peer
        self._task: asyncio.Task[None] | None = None
        self._answering: RequestResponseCycle | Turn | None = None
        self._line = _Line(self)
        self._outflow: Outflow
        self._phase: Literal["idle", "head", "body"] = "idle"
        self._due = math.inf  # when the phase must be over, in the loop's time
        self._hosts = 0
        # Headers that come in one piece of at most so many bytes are not too large; adding them up costs 1 us.
        self._harmless = self._limits.max_header_bytes - self._limits.max_headers
        self._at_once = False
        self._body_bytes = 0
        self._announced = 0  # bytes of the body, as its client says
        self._arrived = [0.0]  # when the last of a request came that goes by ASGI
        self._held: Turn | None = None  # a request whose task begins once its body is there: waiting costs it 5 us
        self._progress = False  # whether the parser has told us something about what came in
        self._held_back = 0  # bytes since it last did
        self._last_words = b""  # the answer to what cannot be read, once earlier requests have been answered
        self._declined = False  # the request offers a protocol that is not spoken here
        self._deaf = False  # what still comes in is dropped
        self._closing = self._stopping = False

    # The life of a connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        """Counts the connection, and turns it away if there are too many."""
        super().connection_made(transport)
        # Says to the front that streams need not watch for the end of the connection themselves, and who is there.
        self._peer = peer_at(transport, self.client)
        self._extensions: dict[str, Any] = {CANCELS: {}, PEER: self._peer}
        self._context = copy_context()
        self._outflow = Outflow(transport, self._limits.send_seconds)
        self._due = self.loop.time() + self._limits.header_seconds
        self._stopping = self._config.stopping
        if self._config.closed:
            transport.abort()
        elif len(self.connections) > self._limits.max_connections:
            self._answer(ServiceUnavailable("too many connections; try again later", reason="TOO_MANY_CONNECTIONS"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancels the request under way: nobody waits for its answer."""
        super().connection_lost(exc)
        self._due = math.inf
        self._closing = self._deaf = True
        self.pipeline.clear()
        if self._answering is not None:  # uvicorn has told the last request, which may be one that waits behind this
            self._answering.disconnected = True
            self._answering.message_event.set()
        if self._working:
            self._keep(cast("asyncio.Task[None]", self._task))
            self.cancel()

    def cancel(self) -> None:
        """Ends the request under way."""
        if self._held is not None:
            self._refuse(stopping())
        elif self._task is not None and not self._task.cancelling():
            self._task.cancel()

    @property
    def busy(self) -> bool:
        """Whether a request is being received or answered."""
        return self._working or (not self._closing and (self._phase != "idle" or self._unanswered))

    @property
    def _working(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def _unanswered(self) -> bool:
        """Whether the last request still needs an answer."""
        return self.cycle is not None and not self.cycle.response_complete

    def shutdown(self) -> None:
        """Closes the connection if it is idle, else after the answers that are due, which say so."""
        self._stopping = True
        if self._phase != "head" and not self._closing:  # for a request on its way in, ``header_seconds`` is the bound
            super().shutdown()

    def sweep(self, now: float) -> None:
        """Ends what has taken too long; called every second.

        Args:
            now: The loop's time.
        """
        if self._outflow.stuck(now):
            self.transport.abort()
        elif now >= self._due:
            self._expire(now)

    def _expire(self, now: float) -> None:
        self._due = math.inf
        if self._closing:
            self.transport.abort()
        elif self._phase == "head":
            seconds = self._limits.header_seconds
            self._refuse(_timeout(f"the request's headers took longer than {seconds:g} s"))
        elif self._phase == "idle":
            self.transport.close()
        elif self.flow.read_paused:  # it is us who are slow
            self._due = now + self._limits.body_seconds
        else:
            seconds = self._limits.body_seconds
            self._refuse(_timeout(f"the request's body made no progress worth the name for {seconds:g} s"))

    def hang_up(self, *, linger: bool = False) -> None:
        """Closes the connection, after a while if the client may still be sending."""
        if self._closing or self.transport.is_closing():
            return
        self._closing = self._deaf = True
        if self._phase == "idle" and not self.flow.read_paused and not linger:
            self.transport.close()
            return
        self._due = self.loop.time() + LINGER_SECONDS
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    # What comes in

    def data_received(self, data: bytes) -> None:
        """Feeds the parser."""
        if self._deaf:
            return
        self._progress = False
        self._at_once = self._phase != "head" and len(data) <= self._harmless
        try:
            self._feed(data)
            if self._phase != "idle" and not self._deaf:
                self._measure(len(data))
        except _Refused as refused:
            self._refuse(refused.error)
        except httptools.HttpParserError as failure:
            cause = failure.__context__  # what a callback has raised
            unreadable = BadRequest("this is no HTTP/1.1 request", reason="BAD_REQUEST")
            self._refuse(cause.error if isinstance(cause, _Refused) else unreadable)

    def _feed(self, data: bytes) -> None:
        left: bytes | memoryview = data
        while left:
            try:
                self.parser.feed_data(left)
            except httptools.HttpParserUpgrade as upgrade:
                left = memoryview(left)[int(upgrade.args[0]) :]
                if self._declined:
                    self._declined = False
                    head = self._head_without_offer()
                    self.parser = httptools.HttpRequestParser(self)  # the old one may take this for the last request
                    self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
                    self.parser.feed_data(head)
                else:
                    self._deaf = True
                    self.handle_websocket_upgrade()
                    # A client may not send frames before it is answered, but those that it has sent must not get lost.
                    if left:
                        cast("asyncio.Protocol", self.transport.get_protocol()).data_received(bytes(left))
                    return
            else:
                return

    def _head_without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode("ascii")
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join((*lines, b"", b""))

    def on_message_begin(self) -> None:
        """Begins a request."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._phase = "head"
        self._progress = True
        self._hosts = self._body_bytes = self._announced = 0
        limits = self._config.limits.value
        if limits is not self._limits:  # they have changed since the connection began
            self._limits, self._outflow.patience = limits, limits.send_seconds
            self._harmless = limits.max_header_bytes - limits.max_headers
        self._due = self.loop.time() + self._limits.header_seconds

    def on_url(self, url: bytes) -> None:
        """Takes a part of the request target."""
        self.url += url
        if len(self.url) > self._limits.max_url_bytes:
            most = self._limits.max_url_bytes
            raise _Refused(ClientError(f"the URL is longer than {most} bytes", code=414, reason="URL_TOO_LONG"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header or a trailer."""
        self.headers.append((USUAL.get(name) or self._looked_at(name.lower(), value), value))

    def _looked_at(self, name: bytes, value: bytes) -> bytes:
        if name == b"host":
            self._hosts += 1
            if not _HOST.fullmatch(value):
                raise _bad("the Host header is no name of a host")
        elif name == b"transfer-encoding" and value.strip(b" \t").lower() != b"chunked":
            raise _bad("the only Transfer-Encoding that is read here is chunked")
        elif name == b"content-length":
            self._announced = int(value)  # the parser has seen to it that these are digits
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        return name

    def on_headers_complete(self) -> None:
        """Begins to answer the request, or queues it behind earlier ones."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        self._check_line(method, version)
        self._check_headers()
        turn: Turn | None = None
        if self.parser.should_upgrade():
            self._declined = not self._should_upgrade()
            if self._declined:
                return
            if any(name in _OF_BODIES and value != b"0" for name, value in self.headers):
                raise _Refused(BadRequest("the handshake of a WebSocket has no body", reason="BAD_HANDSHAKE"))
        elif self._lane is not None:
            turn = self._lane.enter(method, self.url, self.headers, self._peer)
        before = self.cycle
        now = self.loop.time()
        if turn is None:
            self._arrived = [now]
            self._pass_on()
        else:
            turn.request.arrived = now
            turn.keep_alive = version != "1.0" and self.parser.should_keep_alive()
            turn.expects = self.expect_100_continue
            self._queue(turn)
        self._phase = "body"
        self._due = now + self._limits.body_seconds
        if self.cycle is not before:
            self.headers = []  # for trailers: the request has the list with its headers
            if self._stopping:
                self.cycle.keep_alive = False

    def _pass_on(self) -> None:
        """Begins to answer the request by ASGI, or queues it."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()  # makes the scope
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        scope: dict[str, Any] = cast("dict[str, Any]", self.scope)
        scope["headers"], scope["extensions"], scope[ARRIVED] = headers, self._extensions, self._arrived
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self.cycle.transport = self._line  # as much of one as it uses

    def _queue(self, turn: Turn) -> None:
        """Begins to answer the request by the lane, or queues it."""
        unanswered = self._unanswered
        self.cycle = turn
        if unanswered:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
        elif turn.expects or self._announced > self._limits.max_body:
            self._start_asgi_task(turn, self.app)
        else:
            self._held = turn

    def on_body(self, body: bytes) -> None:
        """Takes a part of the body."""
        turn = self.cycle
        now = self.loop.time()
        if not isinstance(turn, Turn):
            self._arrived[0] = now
            super().on_body(body)
        elif not turn.response_complete:
            turn.request.arrived = now
            turn.add(body)
            if turn is self._held and turn.size > self._limits.max_body:
                self._start_asgi_task(turn, self.app)
            if turn.size > HIGH_WATER_LIMIT and self.pipeline:  # it is not its turn yet
                self.flow.pause_reading()
        self._progress = True
        limits = self._limits
        self._due = min(now + limits.body_seconds, self._due + len(body) / limits.body_rate)
        self._body_bytes += len(body)
        if self._body_bytes > limits.max_body and not self._unanswered:
            raise _bad("the request went on after its answer")

    def on_message_complete(self) -> None:
        """Ends a request."""
        if self._declined:
            return
        turn = self.cycle
        if isinstance(turn, Turn):
            turn.more_body = False
            turn.set()
            if turn is self._held:
                self._start_asgi_task(turn, self.app)
        else:
            super().on_message_complete()
        self._phase = "idle"
        if not self.pipeline:
            # The last part of a large body has paused it, and a paused connection does not notice that it is lost.
            self.flow.resume_reading()
        self._due = math.inf if self._unanswered else self.loop.time() + self._limits.idle_seconds

    def _measure(self, size: int) -> None:
        """Counts what the parser holds back while it is not complete: a header, a trailer, an extension of a chunk."""
        self._held_back = 0 if self._progress else self._held_back + size
        most = self._limits.max_header_bytes + _READ
        if self._phase == "head":
            most += self._limits.max_url_bytes
        if self._held_back > most:
            raise _Refused(self._headers_too_large())

    def _check_line(self, method: bytes, version: str) -> None:
        if method == b"CONNECT":
            raise _bad("this is no proxy")
        if version not in ("1.1", "1.0"):
            raise _bad("this is no HTTP/1.1 request")
        if self._hosts > 1 or (self._hosts == 0 and version == "1.1"):
            raise _bad("the request needs one Host header")
        if b"#" in self.url:
            raise _bad("the URL has a fragment, which a client keeps to itself")
        if len(self.pipeline) >= _AHEAD:
            most = f"more than {_AHEAD} requests were sent ahead of their answers"
            raise _Refused(ClientError(most, code=429, reason="TOO_MANY_AHEAD"))

    def _check_headers(self) -> None:
        limits = self._limits
        if len(self.headers) > limits.max_headers:
            most = f"the request has more than {limits.max_headers} headers"
            raise _Refused(ClientError(most, code=431, reason="TOO_MANY_HEADERS"))
        # With the colon, the space and the line's end, as they stand on the wire.
        if (
            not self._at_once
            and sum(map(len, chain.from_iterable(self.headers))) + 4 * len(self.headers) > limits.max_header_bytes
        ):
            raise _Refused(self._headers_too_large())

    def _headers_too_large(self) -> Error:
        most = self._limits.max_header_bytes
        return ClientError(f"the headers are larger than {most} bytes", code=431, reason="HEADERS_TOO_LARGE")

    def _should_upgrade(self) -> bool:
        """Tells whether the request under way opens a WebSocket; what is no proper handshake is a plain request."""
        if self.parser.get_method() != b"GET" or self._unanswered:
            return False
        if (b"sec-websocket-version", b"13") not in self.headers or not super()._should_upgrade():
            return False
        return any(name == b"sec-websocket-key" and _KEY.fullmatch(value) for name, value in self.headers)

    # What goes out

    def _start_asgi_task(self, cycle: RequestResponseCycle | Turn, app: ASGI3Application) -> None:
        self._answering = cycle
        self._held = None
        work = self._take(cycle) if isinstance(cycle, Turn) else self._run(cycle, app)
        self._task = self.loop.create_task(work)
        # A turn ends with its answer, so that the connection has it is enough, and saves 1 us. An application may go on
        # when it has answered, and the next request takes its place here.
        if not isinstance(cycle, Turn):
            self._keep(self._task)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _take(self, turn: Turn) -> None:
        """Answers one request by the lane."""
        lane = cast("Lane", self._lane)
        data = b""
        try:
            response = await lane.answer(turn, self._go_on)
            if self.flow.write_paused:
                await self.flow.drain()
            if response is not None:
                data = lane.write(turn, response, self.server_state.default_headers)
        except asyncio.CancelledError:
            pass  # time to stop is up, and the client takes nothing
        except Exception:
            logger.exception("a request failed outside of any call")
        if turn.disconnected or self._closing:
            return
        if not data:
            self._answer(InternalServer("internal error", reason="UNKNOWN"))
            return
        self._outflow.written += len(data)
        self.transport.write(data)
        turn.response_started = turn.response_complete = True
        if not turn.keep_alive:
            self.hang_up()
        self.on_response_complete()

    def _go_on(self, turn: Turn) -> None:
        """Makes a client send the body of its request."""
        if turn.expects:
            turn.expects = False
            self._line.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.flow.resume_reading()

    async def _run(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Answers one request; whatever ends it, nothing is left to uvicorn's own 500 and traceback."""
        try:
            await app(cycle.scope, cycle.receive, cycle.send)
        except (asyncio.CancelledError, Error):
            pass  # the client has left, time to stop is up, or a call has failed half-way and has said so in the log
        except Exception:
            logger.exception("a request failed outside of any call")
        finally:
            cycle.on_response = _nothing  # lets go of this connection
        if cycle.response_complete or cycle.disconnected or self._closing:
            return
        if cycle.response_started:
            self.transport.abort()  # an end of the body would look as if all was said
        else:
            self._answer(InternalServer("internal error", reason="UNKNOWN"))

    def on_response_complete(self) -> None:
        """Goes on to the next request."""
        self.server_state.total_requests += 1
        if self._closing or self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._context.run(self._start_asgi_task, *self.pipeline.pop())
        elif self._last_words:
            self.transport.write(self._last_words)
            self.hang_up(linger=True)
        elif self._phase == "idle":
            self._due = self.loop.time() + self._limits.idle_seconds

    def _refuse(self, error: Error) -> None:
        """Answers a request that cannot be read to its end, after the ones before it, and ends the connection."""
        self._deaf = True
        self._held = None
        if self._phase == "body" and self.pipeline:
            self.pipeline.popleft()  # the request that broke, which was still waiting for its turn
            self._last_words = self._words(error)
        elif self._unanswered and self._phase == "body":
            self._break(self.cycle, error)
        elif self._unanswered:
            self._last_words = self._words(error)
        elif self._phase == "body":
            self.hang_up()  # it has had its answer
        else:
            self._answer(error)

    def _break(self, cycle: RequestResponseCycle, error: Error) -> None:
        """Ends the request whose body broke; its task is waiting for more of it."""
        if cycle.response_started:
            self.transport.abort()
        else:
            cycle.disconnected = True
            cycle.message_event.set()
            self._answer(error)

    def _answer(self, error: Error) -> None:
        self.transport.write(self._words(error))
        self.hang_up(linger=True)

    def _words(self, error: Error) -> bytes:
        self._config.refusals.count(error)
        return to_response(error, self.server_state.default_headers)


class _Line:
    """The transport as the answer to a request sees it: closing it waits for a client that is still sending."""

    __slots__ = ("_protocol",)

    def __init__(self, protocol: HTTPProtocol) -> None:
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        transport = self._protocol.transport
        if not transport.is_closing():  # uvloop takes offence at who writes on
            self._protocol._outflow.written += len(data)
            transport.write(data)

    def is_closing(self) -> bool:
        return self._protocol.transport.is_closing()

    def close(self) -> None:
        self._protocol.hang_up()


def _timeout(message: str) -> Error:
    return ClientError(message, code=408, reason="REQUEST_TIMEOUT")


def _bad(what: str) -> _Refused:
    return _Refused(BadRequest(what, reason="BAD_REQUEST"))


def _nothing() -> None:
    pass
