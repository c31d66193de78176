"""How many calls may be under way in a server, and what becomes of those beyond."""

from __future__ import annotations

from kratos.call import Call
from kratos.errors import TooManyRequests
from kratos.transport.dispatch import Endpoint

__all__ = ["Admission"]


class Admission:
    """Counts the calls of a server, on all its connections. Used in the event loop only.

    Args:
        limit: How many may be under way; None is no limit.
    """

    __slots__ = ("_limit", "_under_way")

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._under_way = 0

    def enter(self, endpoint: Endpoint, call: Call) -> bool:
        """Lets a call in, or marks it as rejected: it passes its middleware, which log and count it, and no further.

        Returns:
            Whether ``leave`` has to follow. The server's own services are always welcome: whoever asks for the health
            of a server under load should hear of it.
        """
        if self._limit is None or endpoint.own:
            return False
        if self._under_way >= self._limit:
            call.rejected = TooManyRequests(f"{self._limit} calls are under way here already", reason="TOO_MANY_CALLS")
            return False
        self._under_way += 1
        return True

    def leave(self) -> None:
        """Makes room for another call."""
        self._under_way -= 1
