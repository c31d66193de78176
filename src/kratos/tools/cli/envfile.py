"""Environment variables from a file: ``KEY=VALUE`` lines, as docker and shells read them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from kratos.tools.failure import USAGE, Failure

__all__ = ["read_env"]

_LINE: Final = re.compile(r"(?:export\s+)?(?P<key>[A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(?P<value>.*)", re.DOTALL)
_SINGLE: Final = re.compile(r"'(?P<text>[^']*)'\s*(?:#.*)?")
_DOUBLE: Final = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"\s*(?:#.*)?')
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}


def read_env(path: Path) -> dict[str, str]:
    r"""Reads variables from a file.

    A line is empty, a comment, or ``KEY=VALUE``, with or without ``export``. A value may stand in quotes; in double
    quotes ``\n``, ``\t`` and ``\"`` are understood. Without quotes it ends before `` #``. Nothing is substituted.

    Raises:
        Failure: It cannot be read, or a line is something else; the message has the place.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as failure:
        raise Failure(f"cannot read {path}: {failure.strerror or failure}", code=USAGE) from failure
    except UnicodeDecodeError as failure:
        raise Failure(f"{path} is not UTF-8", code=USAGE) from failure
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        said = _LINE.fullmatch(stripped)
        value = _value(said["value"]) if said else None
        if said is None or value is None or "\0" in value:
            why = "the quotes do not end" if said else "this is not KEY=VALUE"
            raise Failure(f"{path}:{number}: {why}", code=USAGE)
        found[said["key"]] = value
    return found


def _value(raw: str) -> str | None:
    """Returns the value without quotes and comment; None if the quotes are wrong."""
    if raw.startswith("'"):
        single = _SINGLE.fullmatch(raw)
        return single["text"] if single else None
    if raw.startswith('"'):
        double = _DOUBLE.fullmatch(raw)
        return re.sub(r"\\(.)", lambda at: _ESCAPES.get(at[1], at[1]), double["text"]) if double else None
    if raw.startswith("#"):
        return ""
    return re.split(r"\s#", raw, maxsplit=1)[0].rstrip()
