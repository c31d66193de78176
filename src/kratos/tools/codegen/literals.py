"""Plain data as Python source."""

from __future__ import annotations

import json
from collections.abc import Sequence

from kratos.tools.codegen.options import Data

__all__ = ["literal", "row"]


def literal(value: Data) -> str:
    """Returns data as source, with the quotes a formatter would choose.

    Example:
        >>> print(literal({"a": [1, True, 'say "hi"']}))
        {"a": [1, True, 'say "hi"']}
    """
    match value:
        case dict():
            return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(literal(item) for item in value) + "]"
        case str() if value.count('"') > value.count("'"):
            return "'" + json.dumps(value, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return repr(value).replace("e+", "e")


def row(items: Sequence[object]) -> list[object]:
    """Returns what to print for a tuple of ``items``, which may be lists of things to print."""
    if len(items) == 1:
        return ["(", items[0], ",)"]
    separated = [part for item in items for part in (", ", item)]
    return ["(", separated[1:], ")"]
