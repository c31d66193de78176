"""What a page says, as data: facts, tables, and what can be done there. It is shown as HTML and as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

__all__ = ["LONGEST", "Act", "Cell", "Field", "Form", "Link", "Page", "Sheet", "Show", "Table", "plain"]

LONGEST: Final = 300
"""Letters of a text that are shown."""


@dataclass(frozen=True, slots=True)
class Link:
    """A way to another page.

    Attributes:
        text: What is shown.
        path: Where it leads, on this server.
    """

    text: str
    path: str


Cell: TypeAlias = "str | int | float | bool | Link | None"
"""A single value; a number of seconds is a ``float``."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with the same columns.

    Attributes:
        columns: What they are called.
        rows: The rows.
        left_out: How many there are beside these.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Field:
    """Something to fill in.

    Attributes:
        name: What it is called.
        value: What stands there at first.
        choices: What can be chosen; anything can be typed if there are none.
    """

    name: str
    value: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """Something that can be done.

    Attributes:
        button: What the button says.
        fields: What has to be filled in.
    """

    button: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What a page says.

    Attributes:
        facts: Single values by their names.
        tables: Tables by their names.
        form: What can be done; not in JSON.
        note: A sentence about it; not in JSON.
        picture: An SVG element that shows it; ours, as it is; not in JSON.
        again: Seconds until a browser should look again; 0 is never.
    """

    facts: Mapping[str, Cell] = field(default_factory=dict[str, Cell])
    tables: Mapping[str, Table] = field(default_factory=dict[str, Table])
    form: Form | None = None
    note: str = ""
    picture: str = ""
    again: int = 0


Show: TypeAlias = Callable[[], Awaitable[Sheet]]
"""Returns what a page says."""

Act: TypeAlias = Callable[[Mapping[str, str]], object]
"""Does what a form asks for. Raises an ``Error`` that says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page.

    Attributes:
        path: Where it is.
        title: What it is called.
        about: What it is for, for the landing page.
        show: Returns what it says.
        act: Does what its form asks for.
    """

    path: str
    title: str
    about: str
    show: Show
    act: Act | None = None


def plain(sheet: Sheet, mask: Callable[[str], str]) -> dict[str, Any]:
    """Returns a sheet as what JSON has a form for: facts, and lists of objects.

    Args:
        sheet: The sheet.
        mask: Takes secrets out of a text, and cuts it.
    """
    found: dict[str, Any] = {_key(name): _plain(cell, mask) for name, cell in sheet.facts.items()}
    for name, table in sheet.tables.items():
        keys = [_key(column) for column in table.columns]
        rows = [[_plain(cell, mask) for cell in row] for row in table.rows]
        found[_key(name)] = [dict(zip(keys, row, strict=True)) for row in rows]
        if table.left_out:
            found[f"{_key(name)}_left_out"] = table.left_out
    return found


def _key(name: str) -> str:
    return name.replace(" ", "_")


def _plain(cell: Cell, mask: Callable[[str], str]) -> str | int | float | bool | None:
    if isinstance(cell, Link):
        return cell.path
    if isinstance(cell, str):
        return mask(cell)
    return round(cell, 6) if isinstance(cell, float) else cell
