"""Comparisons as a picture: for each server a bar of its rate and one of its CPU time, both relative to one peer.

The text is text and the ground is transparent; the colours are legible on white and on black, and follow the reader's
scheme where the picture is shown by a browser.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape

from record import Comparison, Subject

__all__ = ["svg"]

WIDTH = 860
NAMES = 190
BAR = 210
"""The room for the longest bar; its figure stands behind it."""
COLUMN = 330
LINE = 20
HEAD = 62

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #6e7781 }
.title { font-weight: 600; fill: #3d6fb6 }
.ours { fill: #2f7fd6 }
.peer { fill: #8a939d }
.one { stroke: #8a939d; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #b3bcc6 }
  .title { fill: #7fb2f0 }
}
"""


def svg(comparisons: Iterable[Comparison]) -> str:
    """Returns the picture of all comparisons, one below the other."""
    parts: list[str] = []
    top = 0
    for each in comparisons:
        if each.baseline in each.by_name:
            parts += _comparison(each, top)
            top += HEAD + LINE * len(each.subjects) + 24
    if not parts:
        parts, top = [_text(0, 18, "Not measured yet.")], LINE + 8
    size = f'width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}"'
    about = "Requests per second and CPU time of each server, relative to one peer"
    start = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    return "\n".join([start, f"<title>{about}</title>", f"<style>{STYLE}</style>", *parts, "</svg>"]) + "\n"


def _comparison(comparison: Comparison, top: int) -> Iterator[str]:
    peer = comparison.by_name[comparison.baseline]
    yield _text(0, top + 18, f"{comparison.title}, {peer.name} = 1", "title")
    columns: tuple[tuple[str, list[float]], ...] = (
        (f"{comparison.unit}s per second: more is better", [each.ratio(peer, "rate") for each in comparison.subjects]),
        (f"CPU per {comparison.unit}: less is better", [each.ratio(peer, "cpu") for each in comparison.subjects]),
    )
    bottom = top + HEAD + LINE * len(comparison.subjects)
    for number, each in enumerate(comparison.subjects):
        yield _text(0, top + HEAD + LINE * number + 14, each.name)
    for at, (title, ratios) in enumerate(columns):
        left = NAMES + at * COLUMN
        scale = BAR / max(ratios)
        yield _text(left, top + 44, title)
        for number, (each, ratio) in enumerate(zip(comparison.subjects, ratios, strict=True)):
            yield from _bar(each, left, top + HEAD + LINE * number, ratio, scale)
        one = f"{left + scale:.1f}"
        yield f'<line class="one" x1="{one}" y1="{top + HEAD - 4}" x2="{one}" y2="{bottom}"/>'


def _bar(subject: Subject, left: int, top: int, ratio: float, scale: float) -> Iterator[str]:
    long = max(ratio * scale, 1)
    kind = "ours" if subject.ours else "peer"
    yield f'<rect class="{kind}" x="{left}" y="{top + 3}" width="{long:.1f}" height="{LINE - 6}" rx="2"/>'
    yield _text(round(left + long + 6), top + 14, f"{ratio:.2f}")


def _text(left: int, base: int, words: str, kind: str = "") -> str:
    marked = f' class="{kind}"' if kind else ""
    return f'<text{marked} x="{left}" y="{base}">{escape(words)}</text>'
