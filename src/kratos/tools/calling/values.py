"""JSON values as somebody types them or a program writes them: one after the other, or all in one list.

The splitter finds where a value ends, and nothing else; whether it is JSON, and what it means, is the codec's business.
So a value can be sent as soon as it is there, while the next one is still being typed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kratos.tools.failure import USAGE, Failure

__all__ = ["Input", "Splitter", "split"]

_PIECE: Final = re.compile(rb'[{}\[\]",\\]|[ \t\r\n]+|[^{}\[\]",\\ \t\r\n]+')
_BOM: Final = b"\xef\xbb\xbf"
_CHUNK: Final = 64 * 1024


class Splitter:
    """Splits JSON text into its values, as it comes: values between white space, or the elements of one list."""

    def __init__(self) -> None:
        self._value = bytearray()
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._list: bool | None = None  # nobody knows before the first character
        self._closed = False
        self._last = ""  # in a list, what came last at its level: a value or a comma

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yields the values that are complete with these bytes.

        Raises:
            Failure: A comma is missing or too many in the list, or something follows it.
        """
        for piece in _PIECE.findall(data):
            if self._in_string:
                yield from self._text(piece)
            elif self._depth:
                yield from self._nested(piece)
            else:
                yield from self._between(piece)

    def close(self) -> Iterator[bytes]:
        """Yields the value that ends with the text, complete or not.

        Raises:
            Failure: The list has no end.
        """
        yield from self._complete()
        if self._list and not self._closed:
            raise Failure("the list of requests has no end: ] is missing", code=USAGE)

    def _text(self, piece: bytes) -> Iterator[bytes]:
        self._value += piece
        if self._escaped:
            self._escaped = False
        elif piece == b"\\":
            self._escaped = True
        elif piece == b'"':
            self._in_string = False
            if not self._depth:
                yield from self._complete()

    def _nested(self, piece: bytes) -> Iterator[bytes]:
        self._value += piece
        self._in_string = piece == b'"'
        self._depth += (piece in (b"{", b"[")) - (piece in (b"}", b"]"))
        if not self._depth:
            yield from self._complete()

    def _between(self, piece: bytes) -> Iterator[bytes]:
        """Takes a piece outside of any value, or in the middle of a number or word."""
        if piece.isspace():
            yield from self._complete()
            return
        if self._closed:
            raise Failure("something follows the list of requests", code=USAGE)
        if self._list is None:
            self._list = piece == b"["
            if self._list:
                return
        if self._list and piece in (b",", b"]"):
            yield from self._complete()
            self._separate(piece)
            return
        if piece in (b"{", b"[", b'"'):
            yield from self._complete()
            self._in_string = piece == b'"'
            self._depth = 0 if self._in_string else 1
        self._value += piece

    def _separate(self, piece: bytes) -> None:
        if self._last != "value" and not (piece == b"]" and self._last == ""):
            raise Failure("the list of requests has a comma too many", code=USAGE)
        self._last = "comma"
        self._closed = piece == b"]"

    def _complete(self) -> Iterator[bytes]:
        if not self._value:
            return
        if self._list and self._last == "value":
            raise Failure("the list of requests lacks a comma between two values", code=USAGE)
        self._last = "value"
        value, self._value = bytes(self._value), bytearray()
        yield value


def split(data: bytes) -> list[bytes]:
    """Returns the values in a text."""
    splitter = Splitter()
    return [*splitter.feed(data.removeprefix(_BOM)), *splitter.close()]


@dataclass(frozen=True, slots=True)
class Input:
    """Where requests come from.

    Attributes:
        data: What is there already; None if it is still to be read.
        handle: The file descriptor to read where it is.
    """

    data: bytes | None
    handle: int = 0

    @classmethod
    def given(cls, argument: str | None, *, several: bool) -> Input:
        """Reads the command line's word for it: JSON, ``@file``, ``-`` for stdin, None for whatever stdin is.

        Args:
            argument: The word.
            several: Whether there may be several requests: then a terminal is read as well, where nothing was said.

        Raises:
            Failure: The file cannot be read.
        """
        if argument is None and sys.stdin is not None and sys.stdin.isatty() and not several:
            return cls(b"")
        if argument in (None, "-"):
            return cls(b"") if sys.stdin is None else cls(None, sys.stdin.fileno())
        if argument.startswith("@"):
            try:
                return cls(Path(argument[1:]).read_bytes())
            except OSError as failure:
                raise Failure(f"cannot read {argument[1:]}: {failure.strerror or failure}", code=USAGE) from failure
        return cls(argument.encode("utf-8", "surrogateescape"))

    @property
    def typed(self) -> bool:
        """Whether somebody types it, and should be told how."""
        return self.data is None and os.isatty(self.handle)

    def whole(self) -> bytes:
        """Returns all of it."""
        if self.data is not None:
            return self.data.removeprefix(_BOM)
        parts = list(iter(lambda: os.read(self.handle, _CHUNK), b""))
        return b"".join(parts).removeprefix(_BOM)

    async def values(self) -> AsyncIterator[bytes]:
        """Yields JSON values, each as soon as it is there; what is there already is split before the first."""
        if self.data is not None:
            for value in split(self.data):
                yield value
            return
        splitter = Splitter()
        first = True
        while chunk := await _read(self.handle):
            for value in splitter.feed(chunk.removeprefix(_BOM) if first else chunk):
                yield value
            first = False
        for value in splitter.close():
            yield value


async def _read(handle: int) -> bytes:
    """Returns the next bytes of a file descriptor.

    In a thread that nobody waits for: a read of a terminal cannot be interrupted, and Ctrl-C has to end the program.
    It reads past the buffered stdin, whose lock the interpreter would miss at its end.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bytes] = loop.create_future()

    def settle(data: bytes, failure: OSError | None) -> None:
        if future.done():
            return
        if failure is None:
            future.set_result(data)
        else:
            future.set_exception(failure)

    def read() -> None:
        data, failure = b"", None
        try:
            data = os.read(handle, _CHUNK)
        except OSError as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know
            loop.call_soon_threadsafe(settle, data, failure)

    threading.Thread(target=read, name="kratos stdin", daemon=True).start()
    return await future
