"""Levels of loggers, seen and switched while the program runs."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Final

from kratos.admin.sheet import Cell, Field, Form, Sheet, Table
from kratos.errors import BadRequest
from kratos.log.threshold import parse_level, set_level

__all__ = ["show_levels", "switch_level"]

logger = logging.getLogger("kratos.admin")

_ROOT: Final = "root"
_INHERIT: Final = "inherit"
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", _INHERIT)
_NAME: Final = re.compile(r"[\w-]{1,60}(?:\.[\w-]{1,60}){0,9}")
_MOST_ROWS: Final = 200


async def show_levels() -> Sheet:
    """Returns the loggers that have a level of their own, and ours."""
    named = logging.getLogger().manager.loggerDict
    found = [
        each
        for name, each in sorted(named.items())
        if isinstance(each, logging.Logger) and (each.level or name.startswith("kratos"))
    ]
    rows: list[tuple[Cell, ...]] = [(_ROOT, *_levels(logging.getLogger()))]
    rows += [(each.name, *_levels(each)) for each in found[:_MOST_ROWS]]
    return Sheet(
        facts={"loggers": len(named) + 1},
        form=Form("set", (Field("logger", _ROOT), Field("level", "DEBUG", _LEVELS))),
        tables={"levels": Table(("logger", "its own", "in force"), rows, max(0, len(found) - _MOST_ROWS))},
        note="A level counts for a logger and for those below it that have none of their own, until the process ends.",
    )


def switch_level(form: Mapping[str, str]) -> None:
    """Gives a logger the level that a form asks for.

    Raises:
        BadRequest: It names no logger, or no level.
    """
    name, level = form.get("logger", ""), form.get("level", "")
    inherits = level.lower() == _INHERIT
    if _NAME.fullmatch(name) is None:
        raise BadRequest("logger: a name such as kratos.grpc, or root", reason="BAD_LOGGER")
    if name == _ROOT and inherits:
        raise BadRequest("level: root has none above it to go by", reason="BAD_LEVEL")
    try:
        set_level(name, logging.NOTSET if inherits else parse_level(level))
    except ValueError as wrong:
        raise BadRequest(f"level: {wrong}; {_INHERIT} is that of the logger above", reason="BAD_LEVEL") from None
    logger.warning("logger %s has the level %s now: it was set on the admin port", name, level)


def _levels(each: logging.Logger) -> tuple[str, str]:
    own = logging.getLevelName(each.level) if each.level else _INHERIT
    return own, logging.getLevelName(each.getEffectiveLevel())
