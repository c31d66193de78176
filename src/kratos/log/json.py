"""Values as JSON on one line, whatever they are: a line of a log must parse, also when what it says is broken."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring_ascii
from typing import Any, Final

__all__ = ["members", "quoted", "shown", "value"]

# ASCII only: no line break, terminal control or lone surrogate survives in it, whatever the stream's encoding is.
quoted: Final[Callable[[str], str]] = encode_basestring_ascii
"""Returns text as a JSON string in ASCII."""


def value(thing: Any) -> str:
    """Returns a value as JSON; what JSON has no form for (a date, NaN, an object of yours) is a string.

    It never raises.
    """
    if type(thing) is str:
        return quoted(thing)
    try:
        return json.dumps(thing, default=str, allow_nan=False, separators=(",", ":"))
    except Exception:  # keys that are no text, cycles, depth, a __str__ that fails
        return quoted(shown(thing))


def members(fields: Mapping[str, Any], taken: frozenset[str] = frozenset()) -> str:
    """Returns the members of an object, each behind a comma; a name that is ``taken`` becomes ``fields.name``.

    Each name is there once, whatever it was made of; the last one counts.
    """
    if not taken.isdisjoint(fields):
        fields = {f"fields.{name}" if name in taken else name: thing for name, thing in fields.items()}
    return "".join([f",{quoted(name)}:{value(thing)}" for name, thing in fields.items()])


def shown(thing: object) -> str:
    """Returns a value as text; it never raises."""
    try:
        return str(thing)
    except Exception:
        return f"<{type(thing).__name__} that cannot be shown>"
