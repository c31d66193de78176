"""What we use of pygrpc-native, an extra: its low-level interface, which stays compatible within 0.x."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeAlias, cast

from kratos.transport.grpc.headers import Pair

__all__ = ["Details", "Event", "Front", "Native", "load"]

_INSTALL: Final = 'engine="native" needs pygrpc-native: pip install "kratos-py[native]"'

Details: TypeAlias = "tuple[Sequence[Pair], str, float | None]"
"""Of a new call: its metadata, its peer, the seconds until its deadline."""
Event: TypeAlias = "tuple[int, int, int, bytes | None, bytes | str | None, Details | None]"
"""Kind, call, method, request, client (not used) and details; only new calls have the last three."""


class Front(Protocol):
    """A server: it listens, makes events of calls, and writes what it is told. Safe to use from any thread."""

    @property
    def bound_port(self) -> int:
        """The real port."""
        ...

    def set_fallback(self, path: str) -> None:
        """Has calls of unknown methods handed on to a server on a Unix socket."""
        ...

    def start(self) -> None:
        """Accepts connections."""
        ...

    def close(self) -> None:
        """Ends connections, whatever they are at; blocks for a moment."""
        ...

    def recv_batch_details(self, max_events: int, timeout_ms: int | None = None) -> list[Event] | None:
        """Waits for events, for ever if there is no limit; None once it is closed and all have been taken."""
        ...

    def respond(
        self, call_id: int, payload: bytes, headers: Sequence[Pair] | None, trailers: Sequence[Pair] | None, /
    ) -> bool:
        """Answers a unary call; false if it is gone."""
        ...

    def fail(self, call_id: int, code: int, message: str, trailers: Sequence[Pair], /) -> bool:
        """Ends any call with an error, after what was sent before; false if it is gone."""
        ...

    def stream_send_initial_metadata(self, call_id: int, metadata: Sequence[Pair]) -> bool:
        """Sends the headers of a stream; false if they have gone already."""
        ...

    def stream_try_send(self, call_id: int, payload: bytes) -> int:
        """Sends a message of a stream if there is room, and never waits; returns one of ``STREAM_…``."""
        ...

    def stream_end(self, call_id: int, trailers: Sequence[Pair] | None, /) -> None:
        """Ends a stream well, after what was sent before."""
        ...

    def metrics(self) -> dict[str, Any] | None:
        """Counts calls by method, those that have come in and those whose end was written."""
        ...


class Native(Protocol):
    """The module."""

    EVENT_CALL: int
    STREAM_FULL: int
    STREAM_CLOSED: int

    def NativeGrpcFront(  # noqa: N802 - its own name
        self, target: str, methods: Sequence[tuple[str, bool]], **options: Any
    ) -> Front:
        """Returns a server that is bound and does not accept yet; methods come with whether replies are streamed.

        Raises:
            OSError: The address cannot be had.
        """
        ...


def load() -> Native:
    """Returns the module.

    Raises:
        ImportError: It is not installed; the message says how to install it.
    """
    try:
        return cast("Native", importlib.import_module("pygrpc_native"))
    except ImportError:
        raise ImportError(_INSTALL) from None
