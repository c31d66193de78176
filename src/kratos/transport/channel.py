"""The seam between a client and a protocol: what a connection to one peer can do."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, Protocol

from kratos.call import Call, Peer
from kratos.errors import ServiceUnavailable

__all__ = ["HURRIED", "Channel", "Unreached", "hurry"]

HURRIED: Final = "kratos.hurried"
"""The key in ``call.state`` that tells a channel not to wait long for a connection, whatever ``wait_for_ready`` says:
there are other nodes to go to, and only the last one is worth waiting for."""

_HURRIED_SECONDS: Final = 1.0
_SHORTEST_SECONDS: Final = 0.1  # a call that is nearly over says nothing of a node that is far away


class Unreached(ServiceUnavailable):
    """503: there was no connection, and nothing was sent; only a channel of this process raises it.

    Its reason alone would not tell: a peer passes on what its own peers could not be reached with.
    """

    reason = "CONNECTION_FAILED"
    unsent = True


def hurry(call: Call) -> float | None:
    """Returns within how many seconds a connection has to come about, so that there is time for another node.

    None is no limit beside the channel's own.
    """
    if not call.state.get(HURRIED):
        return None
    left = call.remaining()
    return _HURRIED_SECONDS if left is None else min(_HURRIED_SECONDS, max(left / 2, _SHORTEST_SECONDS))


class Channel(Protocol):
    """A way to one peer, over one protocol. Many calls may be under way at once.

    Attributes:
        kind: ``http`` or ``grpc``.
        peer: The other end.
    """

    kind: str
    peer: Peer

    def unary(self, request: Any, call: Call) -> Awaitable[Any]:
        """Sends one request and returns the reply.

        Cancelling it cancels the call on the peer, as far as the protocol can say so.

        Args:
            request: The message.
            call: Its headers go out, its reply is filled in, its deadline is told to the peer.

        Raises:
            Unreached: There was no connection, or none within ``hurry(call)``, and nothing was sent.
            Error: The peer answered with an error (its class found in ``call.known``), or was lost.
        """
        ...

    def stream(self, request: Any, call: Call) -> Awaitable[Any]:
        """Carries one call of the other kinds from start to end.

        Every streamed reply goes to ``call.stream_reply``, which waits while the caller is slower.

        Args:
            request: The message, or ``Messages`` where requests are streamed; they are read as the peer takes them.
            call: As for ``unary``.

        Returns:
            The reply where there is one, None where replies are streamed.

        Raises:
            Error: As for ``unary``.
        """
        ...

    async def aclose(self) -> None:
        """Closes the connection; calls under way fail. Calling it again does nothing."""
        ...
