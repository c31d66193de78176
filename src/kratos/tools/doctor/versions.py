"""Requirements as packages state them, as far as ours go: names, version ranges, extras and platforms.

``packaging`` knows all of it and is no dependency of ours; this is the part that our own metadata uses. What is not
understood here counts as fulfilled: a doctor who is not sure does not raise an alarm.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

__all__ = ["Requirement", "accepts", "newer"]

_REQUIREMENT: Final = re.compile(r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*\(?([^;()]*)\)?\s*(?:;\s*(.*))?")
_VERSION: Final = re.compile(
    r"v?(?:\d+!)?(\d+(?:\.\d+)*)"  # an epoch, which nobody has, and the release
    r"[._-]?(?:(a|b|rc)[._-]?(\d*))?(\.?post\d*)?(\.?dev\d*)?(?:\+.*)?"
)
_CLAUSE: Final = re.compile(r"(>=|<=|==|!=|~=|>|<)\s*([^\s,]+)")
_EXTRA: Final = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
_NOT_ON: Final = re.compile(r"""sys_platform\s*!=\s*["']([^"']+)["']""")

_Key: TypeAlias = tuple[tuple[int, ...], int, int, int, int]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of a package's requirements.

    Attributes:
        name: The distribution.
        versions: The range, such as ``>=1.70,<2``; empty for any.
        extra: The extra that asks for it, empty for the package itself.
        here: Whether it is wanted on this platform.
    """

    name: str
    versions: str
    extra: str
    here: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads ``name[extra]>=1,<2; marker``."""
        found = _REQUIREMENT.fullmatch(text)
        if found is None:
            return cls(text.strip(), "", "", here=False)
        marker = found[3] or ""
        extra = _EXTRA.search(marker)
        absent = _NOT_ON.search(marker)
        return cls(
            found[1], found[2].strip(), extra[1] if extra else "", here=absent is None or absent[1] != sys.platform
        )


def accepts(versions: str, version: str) -> bool:
    """Tells whether a version is within a range such as ``>=1.70,<2``."""
    return all(_holds(operator, bound, version) for operator, bound in _CLAUSE.findall(versions))


def newer(version: str, than: str) -> bool:
    """Tells whether a version comes after another one."""
    left, right = _key(version), _key(than)
    return left is not None and right is not None and left > right


def _holds(operator: str, bound: str, version: str) -> bool:
    wild = bound.endswith(".*")
    left, right = _key(version), _key(bound.removesuffix(".*"))
    if left is None or right is None:
        return True
    if wild or operator == "~=":
        places = len(bound.removesuffix(".*").split(".")) - (0 if wild else 1)
        same = _padded(left[0], places) == _padded(right[0], places)
        return {"==": same, "!=": not same}.get(operator, same and left >= right)
    if operator == "<" and right[1] >= _FINAL and left[0] == right[0]:
        return False  # 2.0rc1 is none of <2, though it comes before it
    return {
        ">=": left >= right,
        "<=": left <= right,
        "==": left == right,
        "!=": left != right,
        ">": left > right,
        "<": left < right,
    }[operator]


_FINAL: Final = 3


def _key(version: str) -> _Key | None:
    """Returns what versions are ordered by; None for one that is not understood."""
    found = _VERSION.fullmatch(version.strip().lower())
    if found is None:
        return None
    release = tuple(int(part) for part in found[1].split("."))
    while len(release) > 1 and release[-1] == 0:
        release = release[:-1]
    stage = {"a": 0, "b": 1, "rc": 2}.get(found[2] or "", _FINAL)
    post, dev = found[4], found[5]
    # A development version comes before everything else of its release, a post-release after.
    if dev is not None and found[2] is None and post is None:
        stage = -1
    after = 0 if post is None else 1 + _number(post)
    before = after * 2 - (dev is not None and stage != -1)
    return release, stage, int(found[3] or 0), before, _number(dev) if dev is not None else sys.maxsize


def _number(text: str) -> int:
    return int(re.sub(r"\D", "", text) or 0)


def _padded(release: tuple[int, ...], places: int) -> tuple[int, ...]:
    return (release + (0,) * places)[:places]
