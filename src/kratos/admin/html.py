"""Sheets as HTML: no script, nothing from elsewhere, and every text escaped in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Final

from kratos.admin.sheet import Cell, Field, Form, Link, Page, Sheet, Table

__all__ = ["CSS", "CSS_PATH", "render"]

CSS_PATH: Final = "/admin.css"
"""Where the style sheet is."""

_GRAVE: Final = frozenset({"ready", "accepts calls", "well", "sources count as they are"})
"""What it is bad to say no to."""

CSS: Final = """\
:root { color-scheme: light dark; --ink: #1c2430; --faint: #5d6878; --line: #dfe3ea; --back: #f6f7f9; --card: #fff;
  --accent: #0b62c4; --good: #11733b; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --faint: #97a3b4; --line: #2c3440; --back: #12161c; --card: #1a2028; --accent: #6fb1ff;
    --good: #5ccf8a; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
header { background: var(--card); border-bottom: 1px solid var(--line); padding: .8rem 1.5rem; }
header strong { margin-right: 1.2rem; }
nav { display: inline; }
nav a { display: inline-block; margin-right: .9rem; }
a { color: var(--accent); text-decoration: none; }
a:hover, a:focus { text-decoration: underline; }
a[aria-current] { color: var(--ink); font-weight: 600; }
main { margin: 0 auto; max-width: 82rem; padding: 1rem 1.5rem 3rem; }
h1 { font-size: 1.5rem; margin: .6rem 0; }
h2 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; }
p.note, p.out { color: var(--faint); max-width: 46rem; }
.card + .card { margin-top: .8rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; overflow-x: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.5rem; margin: 0; padding: .9rem 1.1rem; }
dt { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .4rem 1.1rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--faint); font-weight: 500; }
td { overflow-wrap: break-word; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.yes { color: var(--good); font-weight: 600; }
.no { color: var(--bad); font-weight: 600; }
form { display: flex; flex-wrap: wrap; gap: .8rem; align-items: end; padding: .9rem 1.1rem; }
label { display: grid; color: var(--faint); font-size: .85rem; }
input, select, button { font: inherit; padding: .3rem .6rem; border: 1px solid var(--faint); border-radius: 6px;
  background: var(--card); color: var(--ink); }
button { background: var(--accent); border-color: var(--accent); color: var(--card); cursor: pointer; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 11px ui-monospace, monospace; fill: #1c2430; }
"""
"""The style sheet."""


def render(page: Page, sheet: Sheet, *, name: str, pages: Sequence[Page], mask: Callable[[str], str]) -> bytes:
    """Returns a page as HTML.

    Args:
        page: The page.
        sheet: What it says.
        name: Who is serving.
        pages: All there are, for the way to them.
        mask: Takes secrets out of a text, and cuts it.
    """
    again = f'<meta http-equiv="refresh" content="{sheet.again}">' if sheet.again else ""
    title = escape(f"{page.title} · {name}" if name else page.title)
    links = "".join(
        f'<a href="{escape(each.path)}"{" aria-current=page" if each is page else ""}>{escape(each.title)}</a>'
        for each in pages
    )
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{again}'
        f'<link rel="stylesheet" href="{CSS_PATH}"><link rel="icon" href="data:,"></head>'
        f"<body><header><strong>{escape(name)}</strong><nav>{links}</nav></header>"
        f"<main><h1>{escape(page.title)}</h1>{''.join(_parts(page, sheet, mask))}</main></body></html>\n"
    )
    return text.encode("utf-8", "replace")


def _parts(page: Page, sheet: Sheet, mask: Callable[[str], str]) -> Iterator[str]:
    if sheet.note:
        yield f'<p class="note">{escape(sheet.note)}</p>'
    if sheet.facts:
        pairs = (f"<dt>{escape(name)}</dt><dd>{_cell(name, cell, mask)}</dd>" for name, cell in sheet.facts.items())
        yield f'<div class="card"><dl>{"".join(pairs)}</dl></div>'
    if sheet.form is not None:
        yield _form(page.path, sheet.form)
    if sheet.picture:
        yield f'<h2>flame graph</h2><div class="card">{sheet.picture}</div>'
    for name, table in sheet.tables.items():
        yield f"<h2>{escape(name)}</h2>"
        yield from _table(table, mask)


def _table(table: Table, mask: Callable[[str], str]) -> Iterator[str]:
    if not table.rows:
        yield '<p class="note">none</p>'
        return
    numeric = [all(_is_number(row[at]) for row in table.rows) for at in range(len(table.columns))]
    classes = [' class="number"' if each else "" for each in numeric]
    heads = "".join(f"<th{of} scope=col>{escape(name)}</th>" for name, of in zip(table.columns, classes, strict=True))
    yield f'<div class="card"><table><thead><tr>{heads}</tr></thead><tbody>'
    for row in table.rows:
        yield "<tr>"
        named = zip(table.columns, row, classes, strict=True)
        yield from (f"<td{of}>{_cell(name, cell, mask)}</td>" for name, cell, of in named)
        yield "</tr>"
    yield "</tbody></table></div>"
    if table.left_out:
        yield f'<p class="out">and {table.left_out} more</p>'


def _form(path: str, form: Form) -> str:
    fields = "".join(f"<label>{escape(field.name)}{_input(field)}</label>" for field in form.fields)
    return (
        f'<div class="card"><form method="post" action="{escape(path)}">{fields}'
        f"<button>{escape(form.button)}</button></form></div>"
    )


def _input(field: Field) -> str:
    if not field.choices:
        return f'<input name="{escape(field.name)}" value="{escape(field.value)}" autocomplete="off">'
    options = (
        f"<option{' selected' if choice == field.value else ''}>{escape(choice)}</option>" for choice in field.choices
    )
    return f'<select name="{escape(field.name)}">{"".join(options)}</select>'


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 120:
        return f"{round(seconds, 1):g} s"
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _is_number(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool))


def _cell(name: str, cell: Cell, mask: Callable[[str], str]) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        said = "yes" if cell else "no"
        return f'<span class="{said}">{said}</span>' if name in _GRAVE else said
    if isinstance(cell, Link):
        return f'<a href="{escape(cell.path)}">{escape(mask(cell.text))}</a>'
    if isinstance(cell, float):
        return _time(cell)
    return escape(mask(cell)) if isinstance(cell, str) else str(cell)
