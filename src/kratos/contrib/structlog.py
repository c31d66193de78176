"""structlog beside ``logging``, both ways: its events in our log, and our log by its renderers; extra ``structlog``.

What people say through structlog comes out as everything else does, with the fields of the call, masked::

    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, to_logging],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )

Or all that is logged looks as structlog has it::

    setup(handlers=[StructlogHandler([structlog.processors.LogfmtRenderer()], to="app.log")])

Who renders in structlog and never comes by ``logging`` puts ``call_fields`` and ``masked()`` in front of the renderer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from kratos.call import current_call
from kratos.log.entry import USUAL, Entry, entry_of
from kratos.log.handler import QueuedHandler
from kratos.log.redact import Redaction
from kratos.log.sink import Destination, write

try:
    import structlog
except ImportError as missing:
    raise ImportError("kratos.contrib.structlog needs structlog: pip install 'kratos-py[structlog]'") from missing

__all__ = ["StructlogHandler", "call_fields", "masked", "to_logging"]

Event: TypeAlias = MutableMapping[str, Any]
_Processor: TypeAlias = structlog.typing.Processor

_ABOUT: Final = ("exc_info", "stack_info", "stacklevel")
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def call_fields(_logger: Any, _method: str, event: Event) -> Event:
    """Adds the operation and the fields of the call that is served here; what the event says itself counts."""
    call = current_call()
    if call is not None:
        for name, fact in {"operation": call.operation.name, **call.fields}.items():
            event.setdefault(name, fact)
    return event


def masked(rules: Redaction = USUAL) -> Callable[[Any, str, Event], Event]:
    """Returns a processor that masks what nobody may read, and makes plain values of all others.

    Exceptions have to be text by then: put ``structlog.processors.format_exc_info`` in front of it.

    Args:
        rules: What is masked.
    """

    def mask(_logger: Any, _method: str, event: Event) -> Event:
        kept = {name: event[name] for name in _ABOUT if name in event}
        return {**rules.pairs({name: fact for name, fact in event.items() if name not in kept}), **kept}

    return mask


def to_logging(_logger: Any, _method: str, event: Event) -> Mapping[str, Any]:
    """Hands the event to ``logging``, the last processor: its text is the message, all else are fields.

    A field with a name that records have themselves is called ``fields.name``.
    """
    about = {name: event[name] for name in _ABOUT if name in event}
    facts = {str(name): fact for name, fact in event.items() if name not in about and name != "event"}
    extra = {f"fields.{name}" if name in _OWN else name: fact for name, fact in facts.items()}
    return {"msg": event.get("event", ""), "extra": extra, **about}


class StructlogHandler(QueuedHandler[Entry]):
    """Has what is logged rendered by structlog, and written by a thread.

    Events have ``event``, ``level`` (``info``), ``logger``, ``timestamp`` (ISO 8601), the fields, and ``exception``.

    Args:
        processors: The last one returns text or bytes.
        to: A stream, or the path of a file; ``sys.stderr`` if not given.
        redact: What is masked; that of ``setup`` if not given.
        limit: How many records may wait; further ones are lost, and counted.
    """

    def __init__(
        self,
        processors: Iterable[_Processor],
        *,
        to: Destination = None,
        redact: Redaction | None = None,
        limit: int = 10_000,
    ) -> None:
        chain = tuple(processors)

        def written(entries: Sequence[Entry], lost: int) -> None:
            events = [_event(entry) for entry in entries]
            if lost:
                events.append({"event": "log lines lost", "level": "error", "lost": lost})
            write(to, "".join(f"{text}\n" for text in map(_rendered(chain), events)))

        super().__init__(written, entry_of, redact=redact, limit=limit)


def _event(entry: Entry) -> Event:
    event: Event = {**entry.fields, "event": entry.message, "level": entry.rank.lower(), "logger": entry.logger}
    event["timestamp"] = datetime.fromtimestamp(entry.at, UTC).isoformat().replace("+00:00", "Z")
    if entry.stack:
        event["exception"] = entry.stack
    return event


def _rendered(chain: Sequence[_Processor]) -> Callable[[Event], str]:
    def render(event: Event) -> str:
        done: Any = event
        for processor in chain:
            done = processor(None, str(event.get("level", "")), done)
        return done.decode("utf-8", "replace") if isinstance(done, bytes) else str(done)

    return render
