"""Server-sent events, as they arrive: bytes in, events out (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from kratos.errors import InternalServer

__all__ = ["Event", "EventParser"]

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        name: Its type; empty where the server gave none, which means ``message``.
        data: The lines of its data, joined by line feeds.
    """

    name: str
    data: bytes


class EventParser:
    """Puts events together from the pieces of a body, cut anywhere.

    Comments (heartbeats), ids, retry times and unknown fields are passed over, as are events without data.

    Args:
        max_event: The largest event, in bytes; also the longest line.
    """

    __slots__ = ("_after_cr", "_data", "_line", "_max_event", "_name", "_size", "_started")

    def __init__(self, max_event: int) -> None:
        self._max_event = max_event
        self._line = bytearray()  # the line that has not ended yet
        self._after_cr = False  # a line feed that comes next belongs to the line end before it
        self._started = False
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    @property
    def unfinished(self) -> bool:
        """Whether an event has begun and not ended."""
        return bool(self._data or self._line)

    def feed(self, chunk: bytes) -> list[Event]:
        """Takes the next bytes and returns the events that they complete.

        Raises:
            InternalServer: An event is larger than allowed; reason ``REPLY_TOO_LARGE``. The parser is of no use then.
        """
        if not chunk:
            return []
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        *ended, rest = _LINE_END.split(chunk)
        self._after_cr = chunk.endswith(b"\r")
        events: list[Event] = []
        for part in ended:
            line = bytes(self._line + part) if self._line else part
            self._line.clear()
            event = self._end_line(line)
            if event is not None:
                events.append(event)
        self._line += rest
        self._limit(len(self._line))
        return events

    def _end_line(self, line: bytes) -> Event | None:
        if not self._started:
            self._started = True
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        if field == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._size += len(value) + 1
            self._limit(0)
        elif field == b"event":
            self._name = value.strip().decode("utf-8", "replace")
        return None

    def _dispatch(self) -> Event | None:
        event = Event(self._name, b"\n".join(self._data)) if self._data else None
        self._name = ""
        self._data.clear()
        self._size = 0
        return event

    def _limit(self, more: int) -> None:
        if self._size + more > self._max_event:
            raise InternalServer(
                f"the server sent an event of more than {self._max_event} bytes", reason="REPLY_TOO_LARGE"
            )
