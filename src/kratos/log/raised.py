"""What an exception tells of what it was raised with: the text of a message among its arguments has all it holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final, cast

from kratos.log.redact import Redaction
from kratos.masking import MASK, REST

__all__ = ["discreet"]

_MOST: Final = 50
"""So many exceptions of a chain are looked at; a traceback of more is none that anybody reads."""


def discreet(text: str, failure: BaseException, rules: Redaction) -> str:
    """Returns a text about an exception, such as its traceback, with its arguments as a line of the log shows them.

    Messages, dataclasses, mappings and sequences that it, what caused it or what is in its group was raised with are
    masked as arguments of a log message are. Never raises.
    """
    for each in _chain(failure):
        for thing in each.args[:1] if isinstance(each, BaseExceptionGroup) else each.args:
            with suppress(Exception):  # a thing that cannot be told is not in the text either
                shown = str(rules.argument(thing))
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
        if isinstance(each, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", each).exceptions
