"""The grammar of ``Content-Type`` and ``Accept``: RFC 9110, sections 8.3 and 12.5.1. Text in, decisions out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["accepted", "media_type", "parameter"]

# No client that means well sends more; the rest is not looked at, so that a header cannot buy unbounded work.
MAX_RANGES = 64

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - the "token" of RFC 9110, no secret
_TYPE = re.compile(rf"({_TOKEN})/({_TOKEN})")
_PARAMETER = re.compile(rf'({_TOKEN})=({_TOKEN}|"(?:[^"\\]|\\.)*")', re.DOTALL)
_QVALUE = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
# Runs without the separator, where a quoted string may hold it. A quote that is never closed swallows the rest, which
# then is malformed. Each alternative begins with another character, so there is one way to match: linear time.
_BETWEEN_COMMAS = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*(?:"|\\?\Z))+', re.DOTALL)
_BETWEEN_SEMICOLONS = re.compile(r'(?:[^";]|"(?:[^"\\]|\\.)*(?:"|\\?\Z))+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Range:
    """One element of ``Accept``: type and subtype in lower case, either may be ``*``."""

    type: str
    subtype: str
    detailed: bool
    quality: float

    @property
    def rank(self) -> int:
        """How specific the range is, from 0 for ``*/*`` to 3 for a type with parameters."""
        if self.type == "*":
            return 0
        return 1 if self.subtype == "*" else 2 + self.detailed

    def covers(self, content_type: str) -> bool:
        """Tells whether the range includes a media type; the range's parameters do not count."""
        major, _, minor = content_type.partition("/")
        return self.type in ("*", major) and self.subtype in ("*", minor)


def media_type(line: str) -> tuple[str, str] | None:
    """Reads type and subtype of a ``Content-Type``, in lower case; None if they cannot be read.

    Example:
        >>> media_type('Application/JSON; charset="utf-8"'), media_type("json")
        (('application', 'json'), None)
    """
    found = _TYPE.fullmatch(line.partition(";")[0].strip(" \t"))
    return (found[1].lower(), found[2].lower()) if found else None


def parameter(line: str, name: str) -> str | None:
    """Returns a parameter of a ``Content-Type``, without its quotes; None if it is not there.

    A value that would need quotes and has none is taken as it is, up to the semicolon.

    Example:
        >>> parameter('multipart/form-data; Boundary="a b"', "boundary")
        'a b'
    """
    for part in _BETWEEN_SEMICOLONS.findall(line.partition(";")[2]):
        key, _, value = part.strip(" \t").partition("=")
        if key.rstrip(" \t").lower() == name:
            value = value.lstrip(" \t")
            quoted = len(value) > 1 and value[0] == value[-1] == '"'
            return re.sub(r"\\(.)", r"\1", value[1:-1]) if quoted else value
    return None


def accepted(line: str, offers: Sequence[str]) -> str | None:
    """Chooses among media types by an ``Accept`` header.

    Args:
        line: The header, several lines joined by commas. Elements that cannot be read are skipped.
        offers: The media types to choose from, in lower case, the preferred one first.

    Returns:
        The offer with the best quality, the earliest of equals; None if all are refused. If the header says nothing
        that can be read, the first one.

    Example:
        >>> accepted("text/html, application/*;q=0.2, */*;q=0", ["text/plain", "application/json"])
        'application/json'
    """
    ranges = list(_ranges(line))
    if not ranges:
        return offers[0]
    best, chosen = 0.0, None
    for offer in offers:
        quality = _quality(offer, ranges)
        if quality > best:
            best, chosen = quality, offer
    return chosen


def _quality(offer: str, ranges: Sequence[_Range]) -> float:
    """Returns the quality that the most specific matching range gives; of equally specific ones the best."""
    return max(((r.rank, r.quality) for r in ranges if r.covers(offer)), default=(0, 0.0))[1]


def _ranges(line: str) -> Iterator[_Range]:
    for count, element in enumerate(_BETWEEN_COMMAS.finditer(line)):
        if count == MAX_RANGES:
            return
        found = _range(element[0])
        if found is not None:
            yield found


def _range(element: str) -> _Range | None:
    """Reads one element of ``Accept``; None if it is malformed."""
    head, _, tail = element.partition(";")
    kind = _TYPE.fullmatch(head.strip(" \t"))
    if kind is None or (kind[1] == "*" and kind[2] != "*"):
        return None
    detailed = False
    quality = 1.0
    for part in _BETWEEN_SEMICOLONS.findall(tail):
        if not part.strip(" \t"):
            continue
        parameter = _PARAMETER.fullmatch(part.strip(" \t"))
        if parameter is None:
            return None
        if parameter[1] in ("q", "Q"):
            if _QVALUE.fullmatch(parameter[2]) is None:
                return None
            quality = float(parameter[2])
            break  # What follows the weight are extensions that nobody has defined.
        detailed = True
    return _Range(kind[1].lower(), kind[2].lower(), detailed, quality)
