"""A client of memcached's text protocol: one connection, on which requests follow each other without waiting.

Written because nothing that is maintained is small and typed. It knows the six commands that a cache needs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

__all__ = ["Item", "Memcached", "MemcachedError", "exptime"]

T = TypeVar("T")

MONTH: Final = 30 * 24 * 3600
LONGEST_KEY: Final = 250

Read: TypeAlias = "Callable[[asyncio.StreamReader], Awaitable[Any]]"


class MemcachedError(Exception):
    """The server has refused something."""


class Item(NamedTuple):
    """What is under a key.

    Attributes:
        data: The bytes.
        flags: The flags that came with them.
        cas: The number that changes with each change.
    """

    data: bytes
    flags: int
    cas: int


def exptime(seconds: float, now: float) -> int:
    """Returns a time to live as memcached has it: whole seconds, at least one, and a date beyond a month.

    Args:
        seconds: For how long.
        now: The time of the wall.
    """
    whole = max(1, int(seconds + 0.999))
    return int(now) + whole if whole > MONTH else whole


def checked(key: str) -> bytes:
    """Returns a key as bytes.

    Raises:
        ValueError: memcached knows no such keys.
    """
    data = key.encode()
    if len(data) > LONGEST_KEY or not data or any(byte <= 32 or byte == 127 for byte in data):
        raise ValueError(f"memcached takes keys of up to 250 bytes without blanks, not {key[:80]!r}")
    return data


class Memcached:
    """One server.

    Args:
        address: ``host:port``, or the path of a socket.
        timeout: How many seconds it may take to connect, or to answer.
    """

    def __init__(self, address: str, *, timeout: float) -> None:
        host, colon, port = address.rpartition(":")
        if not address.startswith("/") and (not colon or not host or not port.isdecimal()):
            raise ValueError(f"{address!r} is no address: say host:port, or the path of a socket")
        self._address = address
        self._host, self._port = host.strip("[]"), port
        self._timeout = timeout
        self._connecting = asyncio.Lock()
        self._line: _Line | None = None

    async def get(self, keys: Sequence[str]) -> dict[str, Item]:
        """Returns what is under keys; what is not there is left out."""
        named = {checked(key): key for key in keys}
        found: dict[bytes, Item] = await self._ask(b"gets " + b" ".join(named) + b"\r\n", _items)
        return {named[key]: item for key, item in found.items()}

    async def store(
        self, verb: str, key: str, data: bytes, *, flags: int = 0, expires: int = 0, cas: int | None = None
    ) -> bool:
        """Stores something; tells whether it is there now.

        Args:
            verb: ``set``, ``add``, ``replace`` or ``cas``.
            key: Where.
            data: What.
            flags: What comes back with it.
            expires: When it goes, see ``exptime``; 0 is never.
            cas: For ``cas``: the number that the key must still have.
        """
        number = b"" if cas is None else b" %d" % cas
        head = b"%s %s %d %d %d%s\r\n" % (verb.encode(), checked(key), flags, expires, len(data), number)
        return bool(await self._ask(head + data + b"\r\n", _stored))

    async def delete(self, key: str) -> bool:
        """Deletes something; tells whether it was there."""
        return bool(await self._ask(b"delete %s\r\n" % checked(key), _deleted))

    async def aclose(self) -> None:
        """Ends the connection; the next request begins another one."""
        line, self._line = self._line, None
        if line is not None:
            line.drop(ConnectionError("closed"))
            await line.gone()

    async def _ask(self, request: bytes, read: Read) -> Any:
        line: _Line | None = None
        try:
            async with asyncio.timeout(self._timeout):
                line = await self._connected()
                return await line.ask(request, read)
        except TimeoutError as late:
            if line is not None:  # what follows would wait for the same answer
                line.drop(late)
            raise TimeoutError(f"memcached at {self._address} took longer than {self._timeout:g} s") from None

    async def _connected(self) -> _Line:
        async with self._connecting:
            if self._line is None or self._line.broken:
                if self._port:
                    reader, writer = await asyncio.open_connection(self._host, int(self._port))
                else:
                    reader, writer = await asyncio.open_unix_connection(self._address)
                self._line = _Line(reader, writer, self._timeout)
            return self._line


class _Line:
    """A connection: replies come in the order of requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout: float) -> None:
        self.broken = False
        self._timeout = timeout
        self._reader = reader
        self._writer = writer
        self._waiting: deque[tuple[Read, asyncio.Future[Any]]] = deque()
        self._came = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def ask(self, request: bytes, read: Read) -> Any:
        if self.broken:
            raise ConnectionError("the connection to memcached has ended")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        asked = read, answer
        self._waiting.append(asked)
        self._writer.write(request)
        self._came.set()
        loop = asyncio.get_running_loop()
        until = loop.time() + self._timeout
        try:
            return await answer
        except asyncio.CancelledError:
            # Its reply is read all the same, for the next one is the next one's; one that does not come is the end of
            # the line, even if all who have asked gave up before it was late.
            loop.call_at(until, self._expect, asked)
            raise

    def _expect(self, asked: tuple[Read, asyncio.Future[Any]]) -> None:
        if any(each is asked for each in self._waiting):
            self.drop(TimeoutError(f"it took longer than {self._timeout:g} s"))

    def drop(self, failure: Exception) -> None:
        if not self.broken:
            self.broken = True
            self._task.cancel()
            self._writer.close()
            while self._waiting:
                _, answer = self._waiting.popleft()
                if not answer.done():
                    answer.set_exception(ConnectionError(f"the connection to memcached has ended: {failure}"))

    async def gone(self) -> None:
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while True:
                while not self._waiting:
                    self._came.clear()
                    await self._came.wait()
                read, answer = self._waiting[0]
                try:
                    result = await read(self._reader)
                except MemcachedError as refused:
                    self._waiting.popleft()
                    if not answer.done():
                        answer.set_exception(refused)
                    continue
                self._waiting.popleft()
                if not answer.done():
                    answer.set_result(result)
        except Exception as failure:  # a connection that ended, or a server that says what nobody understands
            self.drop(failure)


async def _reply(reader: asyncio.StreamReader) -> bytes:
    line = await reader.readuntil(b"\r\n")
    word = line.split(b" ", 1)[0].strip()
    if word in (b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR"):
        raise MemcachedError(line.decode("latin-1").strip())
    return line.strip()


async def _items(reader: asyncio.StreamReader) -> dict[bytes, Item]:
    found: dict[bytes, Item] = {}
    while (line := await _reply(reader)) != b"END":
        _, key, flags, length, cas = line.split(b" ")
        data = await reader.readexactly(int(length) + 2)
        found[key] = Item(data[:-2], int(flags), int(cas))
    return found


async def _stored(reader: asyncio.StreamReader) -> bool:
    return await _among(reader, {b"STORED": True, b"NOT_STORED": False, b"EXISTS": False, b"NOT_FOUND": False})


async def _deleted(reader: asyncio.StreamReader) -> bool:
    return await _among(reader, {b"DELETED": True, b"NOT_FOUND": False})


async def _among(reader: asyncio.StreamReader, meanings: dict[bytes, bool]) -> bool:
    said = await _reply(reader)
    if said not in meanings:
        raise ConnectionError(f"memcached said {said[:80]!r}")
    return meanings[said]
