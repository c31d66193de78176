"""Stacks that were counted, as a picture and as files: a flame graph in SVG, collapsed stacks, speedscope's JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final, TypeAlias
from zlib import crc32

__all__ = ["Stacks", "collapsed", "picture", "speedscope", "top"]

Stacks: TypeAlias = Mapping[tuple[str, ...], int]
"""How often each stack was seen, its outermost function first."""

_WIDTH: Final = 1200.0
_ROW: Final = 18
_LETTER: Final = 6.7  # its width
_LEAST_WIDTH: Final = 0.6
_MOST_BOXES: Final = 4000
_COLOURS: Final = ("#f6c177", "#f2a65a", "#eec170", "#e9b872", "#f4b393", "#edc9af", "#f7d08a", "#e3b587")


@dataclass(slots=True)
class _Box:
    """A function below another: how often it was seen there, and what it called."""

    name: str
    count: int = 0
    below: dict[str, _Box] = field(default_factory=dict[str, "_Box"])


def collapsed(stacks: Stacks) -> str:
    """Returns a line for each stack, ``outer;inner 12``: what flamegraph.pl and its like read."""
    return "".join(f"{';'.join(stack)} {count}\n" for stack, count in sorted(stacks.items()))


def speedscope(stacks: Stacks, *, name: str, every: float) -> bytes:
    """Returns the file that https://speedscope.app opens.

    Args:
        stacks: The stacks.
        name: What it is called there.
        every: Seconds from one sample to the next.
    """
    numbers: dict[str, int] = {}
    samples = [[numbers.setdefault(function, len(numbers)) for function in stack] for stack in stacks]
    weights = [count * every for count in stacks.values()]
    profile: dict[str, Any] = {
        "type": "sampled",
        "name": name,
        "unit": "seconds",
        "startValue": 0,
        "endValue": sum(weights),
        "samples": samples,
        "weights": weights,
    }
    found = {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "shared": {"frames": [{"name": function} for function in numbers]},
        "profiles": [profile],
        "exporter": "kratos",
    }
    return json.dumps(found).encode()


def top(stacks: Stacks, most: int) -> list[tuple[str, int, int]]:
    """Returns the functions that were seen most: name, samples of its own, samples with all that it called."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for stack, count in stacks.items():
        own[stack[-1]] += count
        total.update(dict.fromkeys(stack, count))
    ranked = sorted(total, key=lambda name: (-own[name], -total[name], name))
    return [(name, own[name], total[name]) for name in ranked[:most]]


def picture(stacks: Stacks) -> str:
    """Returns a flame graph as an SVG element; the outermost functions are at the top."""
    root = _Box("all")
    for stack, count in stacks.items():
        at = root
        at.count += count
        for name in stack:
            at = at.below.setdefault(name, _Box(name))
            at.count += count
    boxes = list(_boxes(root))
    drawn = "".join(_drawn(box, row, x, wide, root.count) for box, row, x, wide in boxes)
    height = (max((row for _, row, _, _ in boxes), default=0) + 1) * _ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height}" role="img" '
        f'aria-label="flame graph">{drawn}</svg>'
    )


def _boxes(root: _Box) -> Iterator[tuple[_Box, int, float, float]]:
    """Yields boxes with their row, their left end and their width, those that can be seen."""
    waiting = [(root, 0, 0.0)]
    unit = _WIDTH / root.count if root.count else 0.0
    for _ in range(_MOST_BOXES):
        if not waiting:
            return
        box, row, x = waiting.pop()
        yield box, row, x, box.count * unit
        for below in sorted(box.below.values(), key=lambda each: each.name):
            if below.count * unit >= _LEAST_WIDTH:
                waiting.append((below, row + 1, x))
            x += below.count * unit


def _drawn(box: _Box, row: int, x: float, wide: float, all_: int) -> str:
    name, y = escape(box.name), row * _ROW
    colour = _COLOURS[crc32(box.name.encode("utf-8", "replace")) % len(_COLOURS)]
    room = int((wide - 6) / _LETTER)
    # The end of a name says more than its beginning.
    shown = escape(box.name if len(box.name) <= room else f"…{box.name[1 - room :]}") if room >= 4 else ""
    text = f'<text x="{x + 3:.1f}" y="{y + 12.5:.1f}">{shown}</text>' if shown else ""
    share = 100 * box.count / all_ if all_ else 0
    return (
        f"<g><title>{name}, {box.count} samples, {share:.1f} %</title>"
        f'<rect x="{x:.1f}" y="{y}" width="{max(wide - 0.4, 0.2):.1f}" height="{_ROW - 1}" fill="{colour}" rx="2"/>'
        f"{text}</g>"
    )
