"""What an exception tells of what it was raised with: the text of a message among its arguments has all it holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, Protocol, cast

from kratos.masking import MASK, REST

__all__ = ["discreet"]

_MOST: Final = 50
"""So many exceptions of a chain are looked at; a traceback of more is none that anybody reads."""
_MOST_THINGS: Final = 500
"""And so many things that they were raised with."""


class _Masking(Protocol):
    """What masks things."""

    def argument(self, thing: Any) -> Any: ...  # a thing that nothing has to be hidden of is returned as it is


def discreet(text: str, failure: BaseException, rules: _Masking) -> str:
    """Returns a text about an exception, such as its traceback, with its arguments as a line of the log shows them.

    Messages, dataclasses, mappings and sequences that it, what caused it or what is in its group was raised with are
    masked as arguments of a log message are, and so are those that it keeps as attributes. Never raises.
    """
    left = _MOST_THINGS
    for each in _chain(failure):
        for thing in _things(each):
            left -= 1
            if left < 0:
                return text
            with suppress(Exception):  # a thing that cannot be told is not in the text either
                masked = thing if isinstance(thing, BaseException) else rules.argument(thing)
                if masked is thing:
                    continue
                shown = str(masked)
                if MASK in shown or REST in shown:  # all else may look like a piece of code beside it: ``()``
                    for form in filter(None, (repr(thing), str(thing))):
                        text = text.replace(form, shown)
    return text


def _chain(failure: BaseException) -> Iterator[BaseException]:
    """Yields an exception and all that are told with it."""
    waiting, seen = [failure], set[int]()
    while waiting and len(seen) < _MOST:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [other for other in (each.__cause__, each.__context__) if other is not None]
        waiting += [thing for thing in _things(each) if isinstance(thing, BaseException)]
        if isinstance(each, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", each).exceptions


def _things(failure: BaseException) -> Iterator[Any]:
    """Yields what an exception was raised with, and what it keeps beside that: its text may be made of either."""
    yield from failure.args[:1] if isinstance(failure, BaseExceptionGroup) else failure.args
    with suppress(Exception):
        yield from list(vars(failure).values())
