"""Adds to the lists of a ``pyproject.toml`` without touching anything else of what somebody has written there."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any, cast

__all__ = ["extended"]


def extended(text: str, entries: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Returns the file with further entries in its lists, and the entries that could not be written.

    A list that is not there is left out: whatever it is for, the project does without. A single string becomes a list.
    An entry counts as written only if the new text means what the old one did, and the entry besides.

    Args:
        text: The file.
        entries: What to add, by the key of the list with its table: ``tool.mypy.files``.
    """
    left: dict[str, str] = {}
    for key, entry in entries.items():
        *tables, name = key.split(".")
        before = tomllib.loads(text)
        wanted = copy.deepcopy(before)
        table = _table(wanted, tables)
        if name not in table:
            continue
        if entry in (table[name] if isinstance(table[name], list) else [table[name]]):
            continue
        table[name] = [*(table[name] if isinstance(table[name], list) else [table[name]]), entry]
        edited = _edited(text, ".".join(tables), name, entry)
        if _means(edited, wanted):
            text = edited
        else:
            left[key] = entry
    return text, left


def _table(document: dict[str, Any], names: list[str]) -> dict[str, Any]:
    for name in names:
        found: object = document.get(name)
        document = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    return document


def _edited(text: str, table: str, name: str, entry: str) -> str:
    """Returns the text with an entry in a list that stands where lists usually stand; else the text as it is."""
    header = re.search(rf"^\[{re.escape(table)}\][ \t]*(?:#.*)?$", text, re.MULTILINE)
    if header is None:
        return text
    following = re.compile(r"^\[", re.MULTILINE).search(text, header.end())
    end = following.start() if following else len(text)
    found = re.compile(rf"^{re.escape(name)}[ \t]*=[ \t]*", re.MULTILINE).search(text, header.end(), end)
    value = found and re.compile(r"\[[^\[\]#]*\]|\"[^\"\\\n]*\"").match(text, found.end(), end)
    if not value:
        return text
    old, new = value[0], json.dumps(entry)
    if old.startswith("["):
        inside = old[1:-1].rstrip()
        tail = old[1:-1][len(inside) :]
        comma = "" if not inside or inside.endswith(",") else ","
        space = f"{tail}{_indent(inside)}" if "\n" in tail else " " if inside else ""
        last = "," if inside.endswith(",") else ""
        new = f"[{inside}{comma}{space}{new}{last}{tail}]"
    else:
        new = f"[{old}, {new}]"
    return text[: value.start()] + new + text[value.end() :]


def _indent(inside: str) -> str:
    """Returns what stands before the last entry of a list with a line for each."""
    last = inside.rpartition("\n")[2]
    return last[: len(last) - len(last.lstrip())]


def _means(text: str, wanted: Mapping[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False
