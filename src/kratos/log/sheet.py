"""What turns things into lines and writes them to a stream or a file, many in one go."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeAlias, TypeVar

from kratos.log.json import quoted
from kratos.log.sink import Destination, is_terminal, write
from kratos.log.text import coloured, utc

__all__ = ["AsText", "Format", "sheet"]

Format: TypeAlias = Literal["auto", "json", "console"]
"""How lines look; ``auto`` is ``console`` on a terminal and ``json`` elsewhere."""

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class AsText(Protocol[T_contra]):
    """Turns a thing into a line for a person."""

    def __call__(self, thing: T_contra, /, *, colours: bool = False) -> str:
        """Returns the line."""
        ...


def sheet(
    to: Destination, format: Format, as_json: Callable[[T], str], as_text: AsText[T], kind: str
) -> Callable[[Sequence[T], int], None]:
    """Returns what writes things as lines; how many were lost since the last time is a line too.

    Args:
        to: A stream, or the path of a file.
        format: How lines look.
        as_json: Turns a thing into JSON.
        as_text: Turns it into text for a person.
        kind: What the things are called, in plural.
    """

    def written(things: Sequence[T], lost: int) -> None:
        console = format == "console" or (format == "auto" and is_terminal(to))
        colours = console and coloured(to)
        texts: list[str] = []
        for thing in things:
            try:
                texts.append(as_text(thing, colours=colours) if console else as_json(thing))
            except Exception:  # A line that cannot be written must not take others with it.
                lost += 1
        if lost:
            text = f"{kind} lost"
            entry = f'{{"ts":"{utc(time.time())}","level":"ERROR","msg":{quoted(text)},"lost":{lost}}}'
            texts.append(f"{lost} {text}" if console else entry)
        write(to, "\n".join(texts) + "\n")

    return written
