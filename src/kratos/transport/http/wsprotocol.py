"""Our WebSockets on uvicorn's: cancellation, and a client that is not read from is still noticed when it goes.

What differs from uvicorn's own protocol:

* When the connection is lost or closed by the client, the task of the call is cancelled, from that event.
* Some small messages are read ahead, because reading is what notices a lost connection.
* A ping that is not answered ends nothing: a Go client answers pings only while it reads, and one that is still sending
  may not read for minutes. Pings keep middleboxes from forgetting the connection, and find out where it was reset.
* When the server begins to stop, calls go on until they are done or their time is up.
* Who takes nothing of what it is sent is not read from, and disconnected after a while: pings are answered too.
* The pieces of a message become one buffer as they come: a list of single bytes takes fifty times their room.
* Frames that come before the handshake is answered wait for it; their answers would come before it otherwise.
* A text that is not UTF-8 ends the connection, and leaves no traceback.
* A connection that is refused or broken off is read for some seconds more, so that the client sees why.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from uvicorn._types import ASGI3Application, ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame

from kratos.errors import BadRequest
from kratos.transport.http.outflow import Outlet
from kratos.transport.http.peers import PEER, peer_at
from kratos.transport.http.problem import to_response
from kratos.transport.http.protocol import LINGER_SECONDS, logger
from kratos.transport.http.settings import ServerConfig

__all__ = ["WebSocketProtocol"]

_AHEAD: Final = 16
"""How many messages may wait for the handler while the connection is read on."""

_SMALL: Final = 4096
"""The largest message to read on behind, in bytes."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket, from its handshake on.

    Args:
        config: uvicorn's settings.
        server_state: uvicorn's connections and tasks.
        app_state: Unused by us.
        _loop: The event loop, for uvicorn.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        limits = cast("ServerConfig", config).limits.value
        config.ws_max_size = limits.max_body
        super().__init__(config, server_state, app_state, _loop)
        self.logger = self.conn.logger = logger
        self._front = cast("ASGI3Application", config.loaded_app)
        self._task: asyncio.Task[None] | None = None
        self._deaf = False
        self._patience = limits.send_seconds
        self._outlet: Outlet
        self._pieces = bytearray()
        self._early = bytearray()

    @property
    def busy(self) -> bool:
        """Whether a call is under way."""
        return self.handshake_initiated and not self.disconnected and (self._task is None or not self._task.done())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins."""
        super().connection_made(transport)
        self._outlet = Outlet(self.transport, self._patience)
        self.transport = cast("asyncio.Transport", self._outlet)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancels the call under way: nobody listens to it."""
        super().connection_lost(exc)
        self.cancel()

    def shutdown(self) -> None:
        """Closes the connection unless a call is under way."""
        if not self.busy:
            self.transport.close()

    def sweep(self, now: float) -> None:
        """Ends what takes too long: a client that does not read.

        Args:
            now: The loop's time.
        """
        if self._outlet.flow.stuck(now):
            self.transport.abort()

    def pause_writing(self) -> None:
        """Stops the handler, and reading: what is read may need an answer."""
        super().pause_writing()
        self._outlet.choke(True)

    def resume_writing(self) -> None:
        """Goes on."""
        super().resume_writing()
        self._outlet.choke(False)

    def data_received(self, data: bytes) -> None:
        """Feeds the parser, and refuses what is no handshake."""
        if self._deaf:
            return
        if self.handshake_initiated and not self.handshake_complete:
            self._early += data
            self.transport.pause_reading()
            return
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.handshake_complete = True
            error = BadRequest("this is no WebSocket handshake", reason="BAD_HANDSHAKE")
            cast("ServerConfig", self.config).refusals.count(error)
            self.transport.write(to_response(error, self.default_headers))
            self._linger()

    def handle_parser_exception(self) -> None:
        """Breaks the connection off: a message was too large, or against the protocol."""
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.disconnected = True  # what the handler still sends fails as if the client had left
        self._linger()
        self.cancel()

    def handle_ping(self) -> None:
        """Answers a ping."""
        if not self._deaf:
            super().handle_ping()

    def handle_close(self, event: Frame) -> None:
        """Ends the connection as the client does."""
        if not self._deaf:
            super().handle_close(event)

    def handle_cont(self, event: Frame) -> None:
        """Adds a piece to the message."""
        if not self._pieces:
            self._pieces += self.frames[0]
        self._pieces += event.data
        if event.fin:
            self.frames = [bytes(self._pieces)]
            self._pieces = bytearray()
            self.send_receive_event_to_app()

    def send_receive_event_to_app(self) -> None:
        """Hands a message to the call."""
        if self._deaf:
            return  # what came in the same breath as the end
        (data,) = self.frames
        size = len(data)
        if self.curr_msg_data_type == "text" and not (data.isascii() or _is_text(data)):
            self.conn.fail(CloseCode.INVALID_DATA, "a text must be UTF-8")
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()
        if self.read_paused and size <= _SMALL and self.queue.qsize() < _AHEAD:
            self.read_paused = False
            self.transport.resume_reading()

    async def send(self, message: ASGISendEvent) -> None:
        """Sends an event of the call; with the handshake answered, reads what came before that."""
        await super().send(message)
        if self._early and message["type"] == "websocket.accept":
            early, self._early = bytes(self._early), bytearray()
            self.transport.resume_reading()
            self.data_received(early)

    async def run_asgi(self) -> None:
        """Runs the call."""
        self._task = asyncio.current_task()
        cast("dict[str, Any]", self.scope)["extensions"][PEER] = peer_at(self.transport, self.client)
        try:
            await self._front(self.scope, self.receive, self.send)
        except (asyncio.CancelledError, ClientDisconnected):
            pass  # the client has left, or time to stop is up
        except Exception:
            logger.exception("a WebSocket failed outside of any call")
        self.send_500_response()  # if there was no answer to the handshake
        if self.close_timer is None:
            self.transport.close()

    def _linger(self) -> None:
        self._deaf = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def cancel(self) -> None:
        """Ends the call under way."""
        if self._task is not None and not self._task.done() and not self._task.cancelling():
            self._task.cancel()


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
