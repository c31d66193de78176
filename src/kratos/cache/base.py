"""What a cache is made of: entries, where they are kept, how values become bytes.

A store is asked with *tickets*. Whoever looks for a key gets one, found or not, and hands it back with what was loaded
meanwhile; if the key was invalidated in between, the store refuses. So nothing that was loaded before an invalidation
is ever kept after it, whoever invalidated, in whatever process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, runtime_checkable

from kratos.errors import ServiceUnavailable

__all__ = [
    "NOTHING", "NO_TICKET", "CacheError", "Encoder", "Entry", "Fill", "Found", "LocalStore", "Note", "Spans", "Store",
    "Ticket",
]  # fmt: skip


class CacheError(ServiceUnavailable):
    """The cache did not answer, or not in time: raised where ``on_cache_error="raise"``, else only counted."""

    reason = "CACHE"


class _Nothing:
    """Stands for no value, which None, 0 and an empty text are not."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final[Any] = _Nothing()
"""No value at all."""

NO_TICKET: Final = object()
"""The ticket of whoever could not ask: nothing may be kept by it."""

Ticket: TypeAlias = Hashable
"""What was known of a key's invalidations when it was looked for; equal ones know the same."""


class Entry:
    """What is kept under a key.

    Attributes:
        data: The value as bytes; None if it is kept as it is.
        value: The value itself, if nobody can change it; ``NOTHING`` if it has to be read from ``data``.
        null: Whether this says that there is no such thing.
        fresh: Until when it is what should be answered; later it still may be, while somebody loads anew.
        form: What ``data`` is written in: the ``form`` of the encoder.
    """

    __slots__ = ("data", "form", "fresh", "null", "value")

    def __init__(
        self,
        data: bytes | None = None,
        *,
        value: Any = NOTHING,
        null: bool = False,
        fresh: float = math.inf,
        form: str = "",
    ) -> None:
        self.data = data
        self.value = value
        self.null = null
        self.fresh = fresh
        self.form = form


class Found(NamedTuple):
    """What a store knows of a key.

    Attributes:
        entry: What is kept; None if nothing is.
        ticket: What goes with a later ``fill``.
    """

    entry: Entry | None
    ticket: Ticket


class Fill(NamedTuple):
    """What is to be kept.

    Attributes:
        key: The key.
        entry: What.
        ttl: For how many seconds.
        ticket: What came with the answer that there was nothing.
    """

    key: str
    entry: Entry
    ttl: float
    ticket: Ticket


class Store(Protocol):
    """Where entries are kept. One object serves a whole program, in one event loop.

    Whatever goes wrong is raised, as any exception; a ``ValueError`` is about one key or value and says nothing about
    the store. Operations may be cancelled at any time.
    """

    async def get(self, keys: Sequence[str], /) -> Sequence[Found]:
        """Looks for keys; the answers are in their order."""
        ...

    async def fill(self, fills: Sequence[Fill], /) -> Sequence[bool]:
        """Keeps entries, each unless its key was invalidated since its ticket was given; tells which are kept."""
        ...

    async def invalidate(self, keys: Sequence[str], hold: float, /) -> None:
        """Forgets keys, and refuses what is filled by tickets from before.

        Args:
            keys: The keys.
            hold: For how many seconds tickets from before may still be handed in.
        """
        ...

    async def aclose(self) -> None:
        """Lets go of connections; it may be used again afterwards."""
        ...


@runtime_checkable
class LocalStore(Store, Protocol):
    """A store inside of the process, which answers at once and keeps values that nobody can change as they are."""

    def peek(self, key: str, /) -> Found:
        """Looks for a key."""
        ...

    def put(self, fills: Sequence[Fill], /) -> Sequence[bool]:
        """Does what ``fill`` does."""
        ...

    def forget(self, keys: Sequence[str], /) -> None:
        """Does what ``invalidate`` does."""
        ...


class Encoder(Protocol):
    """How values become bytes. Immutable."""

    @property
    def form(self) -> str:
        """A short name for what it writes: ``json``, ``proto``, ``raw``."""
        ...

    def encode(self, value: Any, /) -> bytes:
        """Writes a value.

        Raises:
            TypeError: It is not of the type that this encoder writes.
            ValueError: The same.
        """
        ...

    def decode(self, data: bytes, /) -> Any:
        """Reads a value; each time a new one.

        Raises:
            ValueError: The data is something else.
        """
        ...


Note: TypeAlias = Callable[[str, "str | int"], None]
"""Takes an attribute of a span."""


class Spans(Protocol):
    """Who makes spans of what a cache does outside of the process: ``kratos.middleware.tracing.CacheSpans``."""

    def span(self, what: str, name: str, /) -> AbstractContextManager[Note]:
        """Returns the context of one operation, in whose end an exception is noted.

        Args:
            what: ``get``, ``load``, ``fill`` or ``invalidate``.
            name: Whose values they are.
        """
        ...
