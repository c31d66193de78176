"""A key, or all keys below a prefix: read as a whole, and followed from then on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeAlias, TypeVar

from kratos.codec.messages import Oneof
from kratos.contrib.etcd.connection import Connection
from kratos.errors import Forbidden, ServiceUnavailable
from kratos.registry.pacing import paced
from kratos.service import BidiCall
from kratos.wire.etcd.etcdserverpb.rpc_kratos import KVClient, WatchClient
from kratos.wire.etcd.etcdserverpb.rpc_pb import RangeRequest, WatchCreateRequest, WatchRequest, WatchResponse
from kratos.wire.etcd.mvccpb.kv_pb import Event, KeyValue

__all__ = ["Span", "follow", "load"]

_PAGE: Final = 250
"""Keys in one answer, which is read as a whole, and the event loop waits for that."""

_GATHER_SECONDS: Final = 0.05
"""What changes within this time is told at once: a cluster that starts is thousands of changes."""

T = TypeVar("T")

_Create: TypeAlias = Oneof[Literal["create_request"], WatchCreateRequest]


@dataclass(frozen=True, slots=True)
class Span:
    """Which keys.

    Attributes:
        key: The key, or the prefix: some text in UTF-8.
        below: Whether it is a prefix.
    """

    key: bytes
    below: bool = False

    @property
    def end(self) -> bytes:
        """The first key that does not belong to it, as etcd wants to know it."""
        # Nothing in UTF-8 is the last byte there is.
        return self.key[:-1] + bytes([self.key[-1] + 1]) if self.below else b""


async def load(etcd: Connection, span: Span) -> tuple[list[KeyValue], int]:
    """Returns all there is, in the order of the keys, and the revision of it."""
    found: list[KeyValue] = []
    client, key, revision = KVClient(etcd), span.key, 0
    while True:
        page = await client.range(RangeRequest(key=key, range_end=span.end, limit=_PAGE, revision=revision))
        revision = revision or (page.header.revision if page.header else 0)
        found += page.kvs
        if not page.more or not page.kvs:
            return found, revision
        key = page.kvs[-1].key + b"\0"


async def follow(etcd: Connection, span: Span, read: Callable[[KeyValue], T | None]) -> AsyncGenerator[dict[bytes, T]]:
    """Yields all there is, first as it is now and then after each change; what it yields is the receiver's own.

    Args:
        etcd: The cluster, entered.
        span: The keys.
        read: What a key holds; None leaves it out.

    Raises:
        Error: The cluster cannot be reached, or says no. Where changes are not known any more all is read anew.
    """
    while True:
        async with aclosing(_Following(etcd, read).states(span)) as states:
            async for state in states:
                yield state


class _Following(Generic[T]):
    """One reading and the watch that goes on from there."""

    def __init__(self, etcd: Connection, read: Callable[[KeyValue], T | None]) -> None:
        self._etcd = etcd
        self._read = read
        self._held: dict[bytes, T] = {}
        self._pieces: list[Event] = []
        self._changed = asyncio.Event()

    async def states(self, span: Span) -> AsyncGenerator[dict[bytes, T]]:
        """Yields all there is, until changes are not known any more."""
        found, revision = await load(self._etcd, span)
        await self._take((each, False) for each in found)
        watch = asyncio.create_task(self._watch(span, revision), name=f"kratos etcd watch {span.key!r}")
        watch.add_done_callback(lambda _: self._changed.set())
        pause = 0.0
        try:
            while True:
                await self._changed.wait()
                await asyncio.sleep(pause)
                self._changed.clear()
                if watch.done():
                    watch.result()
                    return
                yield dict(self._held)
                pause = _GATHER_SECONDS
        finally:
            watch.cancel()
            await asyncio.wait([watch])
            if not watch.cancelled():
                watch.exception()  # nobody may be here any more to hear of it

    async def _watch(self, span: Span, revision: int) -> None:
        """Takes changes; returns when those to come are not known any more.

        Raises:
            Error: The watch was lost, or refused.
        """
        create = WatchCreateRequest(key=span.key, range_end=span.end, start_revision=revision + 1, fragment=True)
        async with WatchClient(self._etcd).watch() as stream:
            await stream.send(WatchRequest(request_union=_Create("create_request", create)))
            response = await self._first(stream)
            if response.header and response.header.revision < revision:
                raise ServiceUnavailable(f"etcd is at revision {response.header.revision} and was at {revision} before")
            if not response.canceled:
                self._changed.set()
            while not response.canceled:
                await self._take_events(response)
                response = await _next(stream)
        if not response.compact_revision:
            raise Forbidden(f"etcd has ended a watch: {response.cancel_reason or 'it does not say why'}")

    async def _first(self, stream: BidiCall[WatchRequest, WatchResponse]) -> WatchResponse:
        limit = self._etcd.timeout
        try:
            async with asyncio.timeout(limit):
                return await _next(stream)
        except TimeoutError:
            raise ServiceUnavailable(f"etcd has not begun a watch within {limit:g} s") from None

    async def _take_events(self, response: WatchResponse) -> None:
        """Takes what has happened, when all of it is there."""
        self._pieces += response.events
        if response.fragment or not self._pieces:
            return
        pieces, self._pieces = self._pieces, []
        await self._take((each.kv, each.type == Event.EventType.DELETE) for each in pieces if each.kv is not None)
        self._changed.set()

    async def _take(self, found: Iterable[tuple[KeyValue, bool]]) -> None:
        """Takes what keys hold now, or that they are gone: all of it at once, after it was read in slices."""
        values: dict[bytes, T | None] = {}
        await paced(self._reading(found, values))
        for key, value in values.items():
            if value is None:
                self._held.pop(key, None)
            else:
                self._held[key] = value

    def _reading(self, found: Iterable[tuple[KeyValue, bool]], values: dict[bytes, T | None]) -> Iterator[None]:
        for kv, gone in found:
            values[kv.key] = None if gone else self._read(kv)
            yield


async def _next(stream: BidiCall[WatchRequest, WatchResponse]) -> WatchResponse:
    try:
        return await anext(stream)
    except StopAsyncIteration:
        raise ServiceUnavailable("etcd has ended a stream of watches") from None
