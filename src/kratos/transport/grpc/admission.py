"""How many calls may be under way in a server and how large a message may be, and what becomes of those beyond."""

from __future__ import annotations

from kratos.call import Call
from kratos.errors import ClientError, TooManyRequests
from kratos.live import Live
from kratos.transport.dispatch import Endpoint
from kratos.transport.grpc.options import Limits

__all__ = ["Admission"]


class Admission:
    """Counts the calls of a server, on all its connections. Used in the event loop only.

    Args:
        limits: How many may be under way, and how large messages may be; live, so that a call counts by what holds
            when it begins, and a message by what holds when it is read.
    """

    __slots__ = ("_limits", "_under_way")

    def __init__(self, limits: Live[Limits]) -> None:
        self._limits = limits
        self._under_way = 0

    def enter(self, endpoint: Endpoint, call: Call) -> bool:
        """Lets a call in, or marks it as rejected: it passes its middleware, which log and count it, and no further.

        Returns:
            Whether ``leave`` has to follow. The server's own services are always welcome: whoever asks for the health
            of a server under load should hear of it.
        """
        if endpoint.own:
            return False
        limit = self._limits.value.max_calls
        if limit is not None and self._under_way >= limit:
            call.rejected = TooManyRequests(f"{limit} calls are under way here already", reason="TOO_MANY_CALLS")
            return False
        self._under_way += 1
        return True

    def sized(self, data: bytes) -> bytes:
        """Returns a message that has come in.

        Raises:
            ClientError: It is too large.
        """
        most = self._limits.value.max_message
        if len(data) > most:
            text = f"the message has {len(data)} bytes, {most} are allowed"
            raise ClientError(text, code=429, reason="MESSAGE_TOO_LARGE")
        return data

    def leave(self) -> None:
        """Makes room for another call."""
        self._under_way -= 1
