"""Trace Context as the W3C has it (https://www.w3.org/TR/trace-context/): ``traceparent`` and ``tracestate``.

What does not follow the letter is ignored, as the recommendation wants it, and a new trace begins.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = ["Parent", "parent_of", "state_of", "traceparent"]

# Version 00 ends with the flags, a later one may go on. Each part has its place, so there is no need for groups.
_PARTS: Final = r"(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_PARENT = re.compile(rf"00-{_PARTS}|(?!00|ff)[0-9a-f]{{2}}-{_PARTS}(?:-.*)?", re.DOTALL)
_ODD: Final = frozenset("13579bdf")
_MEMBER = re.compile(
    rb"((?:[a-z][a-z0-9_*/-]{0,255})|(?:[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}))"
    rb"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_MOST_MEMBERS: Final = 32
_BLANKS: Final = " \t"


class Parent(NamedTuple):
    """The span that a call belongs below.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        sampled: Whether it is recorded.
        state: What tracing systems tell each other, passed on as it came.
    """

    trace_id: str
    span_id: str
    sampled: bool
    state: str = ""


def parent_of(pairs: Sequence[tuple[bytes, bytes]]) -> Parent | None:
    """Returns what headers say of the parent, None if they say nothing that counts.

    A later version is read as this one, as far as this one knows it; ``tracestate`` counts for nothing by itself.

    Args:
        pairs: The headers, or those that matter: keys in lower case.
    """
    parent: bytes | None = None
    states: list[bytes] = []
    for key, value in pairs:
        if key == b"traceparent":
            if parent is not None:
                return None
            parent = value
        elif key == b"tracestate":
            states.append(value)
    if parent is None:
        return None
    text = parent.decode("latin-1").strip(_BLANKS)
    if _PARENT.fullmatch(text) is None:
        return None
    return Parent(text[3:35], text[36:52], text[54] in _ODD, state_of(states) if states else "")


def state_of(values: Sequence[bytes]) -> str:
    """Returns the members of all ``tracestate`` headers in one; nothing at all if one of them is wrong."""
    members = [member.strip(_BLANKS.encode()) for value in values for member in value.split(b",")]
    members = [member for member in members if member]
    if len(members) > _MOST_MEMBERS:
        return ""
    keys: set[bytes] = set()
    for member in members:
        match = _MEMBER.fullmatch(member)
        if match is None or match[1] in keys:
            return ""
        keys.add(match[1])
    return b",".join(members).decode()


def traceparent(trace_id: str, span_id: str, *, sampled: bool) -> str:
    """Returns the header."""
    return f"00-{trace_id}-{span_id}-{'01' if sampled else '00'}"
