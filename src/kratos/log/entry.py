"""The entry: what a record of ``logging`` says, with the fields of the call it was made in and without secrets.

It is made where the record is, while the call and its arguments are what they were; all else (the text, the writing)
can wait for another thread.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from kratos.call import current_call
from kratos.log.json import shown
from kratos.log.raised import discreet
from kratos.log.redact import Redaction
from kratos.masking import LONGEST, MASK, REST

__all__ = ["ACCESS", "USUAL", "Entry", "cleaned", "entry_of", "text_of"]

ACCESS: Final = "kratos.access"
"""The logger of access lines, which have the fields of their call already."""

USUAL: Final = Redaction()
"""The rules where nobody gives others."""

_LOOP: Final = "asyncio"
# What it says of a callback that failed or was slow: its arguments, in short forms that nobody can look into.
_CALLBACK: Final = re.compile(
    r"(?s)(\b(?:callback|Handle|Executing) )([^\s(]{1,200})\(.*?\)(?=$|\n| at | created at|>)"
)

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Entry(NamedTuple):
    """One thing that was said.

    Attributes:
        at: When, in seconds since 1970.
        level: How grave it is, as in ``logging``.
        rank: The name of that level.
        message: What was said.
        logger: Who said it.
        fields: The operation and the fields of the call, then what was given as ``extra``: plain values.
        error: The last line of the exception, if there is one.
        stack: Its traceback, or the stack that was asked for.
    """

    at: float
    level: int
    rank: str
    message: str
    logger: str
    fields: Mapping[str, Any]
    error: str = ""
    stack: str = ""


def entry_of(record: logging.LogRecord, rules: Redaction = USUAL) -> Entry:
    """Returns what a record says; called in the context that made it."""
    error, message, stack = "", _message(record, rules), _stack(record)
    failure = record.exc_info[1] if record.exc_info else None
    if failure is not None:
        error = rules.text(discreet("".join(traceback.format_exception_only(failure)).strip(), failure, rules))
        stack = discreet(stack, failure, rules)
        message = discreet(message, failure, rules)  # asyncio has it in there too
    return Entry(
        record.created,
        record.levelno,
        record.levelname,
        rules.text(_without_arguments(message) if record.name == _LOOP else message),
        record.name,
        rules.pairs(_fields(record)),
        error,
        rules.text(stack) if stack else "",
    )


def cleaned(record: logging.LogRecord, rules: Redaction = USUAL) -> logging.LogRecord:
    """Returns a copy of a record that says what its entry says, for handlers and formatters of ``logging``."""
    entry = entry_of(record, rules)
    facts = {key: thing for key, thing in vars(record).items() if key in _OWN}
    facts |= {"msg": entry.message, "args": None, "exc_info": None, "exc_text": entry.stack or None, "stack_info": None}
    # A record's own attributes cannot be had for fields.
    facts |= {key: thing for key, thing in entry.fields.items() if key not in _OWN}
    return logging.makeLogRecord(facts)


def text_of(failure: BaseException, rules: Redaction = USUAL) -> str:
    """Returns what an exception says, masked."""
    return rules.text(discreet(str(failure), failure, rules))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Returns the fields, each once: what is said last counts."""
    call = None if record.name == ACCESS else current_call()
    facts: dict[str, Any] = {} if call is None else {"operation": call.operation.name, **call.fields}
    return facts | {key: thing for key, thing in vars(record).items() if key not in _OWN}


def _message(record: logging.LogRecord, rules: Redaction) -> str:
    said: Any = record.msg
    arguments: Any = record.args
    try:
        if type(record).getMessage is not logging.LogRecord.getMessage:  # somebody formats in another way
            return record.getMessage().rstrip("\n")
        text = said if isinstance(said, str) else str(rules.argument(said))
        if arguments:
            arguments = _arguments(arguments, rules)
            text %= arguments
        return text.rstrip("\n")
    except Exception:  # arguments that do not fit the message: what was meant can still be read
        return f"{shown(said)} {shown(arguments)}"


def _without_arguments(text: str) -> str:
    return _CALLBACK.sub(rf"\1\2({REST})", text[:LONGEST])


def _arguments(arguments: tuple[Any, ...] | Mapping[str, Any], rules: Redaction) -> object:
    if isinstance(arguments, tuple):
        return tuple(rules.argument(each) for each in arguments)
    # Single ones are asked for by name, as ``%(count)d``.
    return {key: MASK if rules.secret(str(key)) else rules.argument(each) for key, each in arguments.items()}


def _stack(record: logging.LogRecord) -> str:
    """Returns the traceback, and the stack if that was asked for."""
    trace = record.exc_text or ""
    if record.exc_info and record.exc_info[1] is not None and not trace:
        trace = "".join(traceback.format_exception(record.exc_info[1])).rstrip("\n")
    return "\n".join(part for part in (trace, record.stack_info) if part)
