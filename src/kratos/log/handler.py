"""The handler of ``logging`` that keeps nobody waiting: an entry on a bounded queue, and a thread that writes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from kratos.log.console import as_json, as_text
from kratos.log.entry import USUAL, Entry, cleaned, entry_of
from kratos.log.queue import EXIT_SECONDS, Queue
from kratos.log.redact import Redaction
from kratos.log.sheet import Format, sheet
from kratos.log.sink import Destination

__all__ = ["QueuedHandler", "Sink", "beside", "to_stream"]

T = TypeVar("T")

Sink: TypeAlias = Callable[[Sequence[T], int], None]
"""Takes things in batches, in a thread of its own, and how many were lost since the last time."""


class QueuedHandler(logging.Handler, Generic[T]):
    """Makes an entry of each record, with the fields of its call and without secrets, and lets a thread write it.

    Args:
        write: Takes the entries; what it raises loses the batch.
        make: Makes something else of a record than an entry, by the rules for what is masked.
        redact: Those rules; if not given, those of ``setup``, else the usual ones.
        limit: How many entries may wait; further ones are lost, and counted.

    Attributes:
        redact: The rules for what is masked.
    """

    def __init__(
        self,
        write: Sink[T],
        make: Callable[[logging.LogRecord, Redaction], T],
        *,
        redact: Redaction | None = None,
        limit: int = 10_000,
    ) -> None:
        super().__init__()
        self.redact = redact
        self._make = make
        self._queue = Queue(write, limit=limit)

    @property
    def dropped(self) -> int:
        """How many records were lost since the start: there was no room, or writing them failed."""
        return self._queue.dropped

    def handle(self, record: logging.LogRecord) -> bool:
        """Does what its base does without its lock: whoever logs appends to a queue."""
        passed: Any = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Queues what a record says; never waits and never raises."""
        try:
            entry = self._make(record, self.redact or USUAL)
        except Exception:
            self._queue.lose()
        else:
            self._queue.put(entry)

    def flush(self) -> None:
        """Has what waits written, within two seconds."""
        self.drain()

    def drain(self, timeout: float = EXIT_SECONDS) -> bool:
        """Has what waits written.

        Args:
            timeout: Seconds that this may take.

        Returns:
            False if it was not done in time.
        """
        return self._queue.close(timeout)

    def close(self) -> None:
        """Has what waits written, within two seconds. A later record is written too."""
        self.drain()
        super().close()


def to_stream(to: Destination = None, format: Format = "auto") -> Sink[Entry]:
    """Returns what writes entries to a stream or a file."""
    return sheet(to, format, as_json, as_text, "log lines")


def beside(handler: logging.Handler, *, limit: int = 10_000) -> QueuedHandler[logging.LogRecord]:
    """Returns what queues records for a handler of somebody else, which gets them with fields and without secrets."""

    def write(records: Sequence[logging.LogRecord], lost: int) -> None:
        for record in records:
            if record.levelno >= handler.level:
                handler.handle(record)
        if lost:
            fact = {"name": "kratos.log", "levelno": logging.ERROR, "levelname": "ERROR", "args": (lost,)}
            handler.handle(logging.makeLogRecord({**fact, "msg": "%d log lines lost"}))

    return QueuedHandler(write, cleaned, limit=limit)


def stream_handler(to: Destination, format: Format, *, limit: int) -> QueuedHandler[Entry]:
    """Returns the handler for a stream or a file."""
    return QueuedHandler(to_stream(to, format), entry_of, limit=limit)
