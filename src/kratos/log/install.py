"""``setup()``: what the program logs, for whoever started it: to read in a terminal, as JSON lines elsewhere."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeGuard

from kratos.live import Live
from kratos.log.entry import USUAL
from kratos.log.handler import QueuedHandler, beside, stream_handler
from kratos.log.queue import EXIT_SECONDS
from kratos.log.redact import Redaction
from kratos.log.sheet import Format
from kratos.log.sink import Destination
from kratos.log.threshold import parse_level, set_level

__all__ = ["Log", "lost", "redaction", "setup"]


def setup(
    *,
    level: int | str | Live[str] = "INFO",
    levels: Mapping[str, int | str] | None = None,
    to: Destination = None,
    format: Format = "auto",
    redact: Redaction | None = None,
    handlers: Iterable[logging.Handler] = (),
    limit: int = 10_000,
) -> Log:
    """Makes this process log, warnings among the rest. Call it once, where the program begins.

    Whatever is logged, through any logger, has the operation and the fields of the call it is said in, is masked, and
    is written by a thread: nobody who logs waits for whoever reads. It gives the root logger a handler and a level.
    Handlers of others stay; called again, it replaces its own.

    Args:
        level: The least level that is logged; a live one may change while the program runs, and refuses what is no
            level. Loggers with a level of their own go by that.
        levels: Levels of single loggers, by name.
        to: A stream, or the path of a file; ``sys.stderr`` if not given.
        format: ``json``, ``console``, or ``auto``: ``console`` on a terminal and ``json`` elsewhere.
        redact: What is masked; the usual keys and patterns if not given.
        handlers: Where records go beside that: drivers, or any handlers of ``logging``. They get what is masked too.
        limit: How many lines may wait to be written; further ones are lost, and their number is written.

    Raises:
        ValueError: There is no such level; nothing is changed.

    Example:
        ``App(hooks=[setup(level="DEBUG")], ...)`` writes what waits before the process ends, and so does the end of
        the process itself.
    """
    least = level.map(parse_level) if isinstance(level, Live) else Live(parse_level(level))
    own = {name: parse_level(each) for name, each in (levels or {}).items()}
    targets: list[QueuedHandler[Any]] = [stream_handler(to, format, limit=limit)]
    targets += (each if _is_queued(each) else beside(each, limit=limit) for each in handlers)
    for target in targets:
        target.redact = target.redact or redact
    log = Log(targets, least, redact)
    log.install(own)
    return log


class Log:
    """What ``setup`` has put up, and the end of its life; a hook for an app.

    Args:
        targets: Where records go.
        level: The level to follow.
        redact: What is masked, if it is not the usual.
    """

    def __init__(
        self, targets: Sequence[QueuedHandler[Any]], level: Live[int], redact: Redaction | None = None
    ) -> None:
        self.redact = redact
        self._targets = targets
        self._level = level
        self._handler = _Fan(targets, self)
        self._undo: Callable[[], None] | None = None

    @property
    def dropped(self) -> int:
        """How many records were lost since the start, all handlers together."""
        return sum(target.dropped for target in self._targets)

    def install(self, levels: Mapping[str, int]) -> None:
        """Takes over the root logger, also from another log; ``setup`` has done it."""
        root = logging.getLogger()
        for each in root.handlers:
            if isinstance(each, _Fan):
                each.log.uninstall()
                break
        before = {name: logging.getLogger(name or None).level for name in ("", *levels)}
        for name, number in {"": self._level.value, **levels}.items():
            set_level(name, number)
        root.addHandler(self._handler)
        ignore = self._level.observe(lambda now: set_level("", now))
        captures = _capture_warnings()

        def undo() -> None:
            ignore()
            root.removeHandler(self._handler)
            for name, number in before.items():
                set_level(name, number)
            if captures:
                logging.captureWarnings(False)

        self._undo = undo

    def uninstall(self) -> None:
        """Has ``logging`` as it was before; harmless when called twice, or when ``setup`` was called again."""
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()

    def flush(self, timeout: float = EXIT_SECONDS) -> bool:
        """Has what waits written.

        Args:
            timeout: Seconds that each handler may take.

        Returns:
            False if it was not done in time.
        """
        done = [target.drain(timeout) for target in self._targets]
        return all(done)

    def close(self) -> None:
        """Writes what waits, and has ``logging`` as it was before ``setup``."""
        self.flush()
        self.uninstall()

    def __call__(self, _: object) -> Self:
        """Returns itself: ``App(hooks=[log])``."""
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Writes what waits, all handlers at once; what is logged afterwards is written too."""
        await asyncio.gather(*(asyncio.to_thread(target.drain) for target in self._targets))


def lost() -> int:
    """Returns how many records were lost by the log that this process has set up; 0 where it has none."""
    return sum(each.log.dropped for each in logging.getLogger().handlers if isinstance(each, _Fan))


def redaction() -> Redaction:
    """Returns what is masked by the log that this process has set up; the usual where it has none."""
    rules = [each.log.redact for each in logging.getLogger().handlers if isinstance(each, _Fan)]
    return (rules[0] if rules else None) or USUAL


class _Fan(logging.Handler):
    """Hands each record to several handlers."""

    def __init__(self, targets: Iterable[logging.Handler], log: Log) -> None:
        super().__init__()
        self._targets = tuple(targets)
        self.log = log

    def handle(self, record: logging.LogRecord) -> bool:
        self.emit(record)  # without a lock: nobody has to wait for anybody, and filters are for the handlers
        return True

    def emit(self, record: logging.LogRecord) -> None:
        for target in self._targets:
            if record.levelno >= target.level:
                target.handle(record)

    def flush(self) -> None:
        for target in self._targets:
            target.flush()


def _is_queued(handler: logging.Handler) -> TypeGuard[QueuedHandler[Any]]:
    return isinstance(handler, QueuedHandler)


def _capture_warnings() -> bool:
    """Has warnings logged; returns whether it was not so before."""
    shows = warnings.showwarning
    logging.captureWarnings(True)
    return warnings.showwarning is not shows
