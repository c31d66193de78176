"""Levels of loggers, by name, while the program runs."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Final

__all__ = ["levels", "parse_level", "set_level"]

_NAMES: Final[Mapping[str, int]] = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
    "CRITICAL": logging.CRITICAL,
}
_LEVEL = re.compile(r"\s*([A-Za-z]+)\s*(?:([+-])\s*(\d{1,3}))?\s*")


def parse_level(level: int | str) -> int:
    """Returns a level as a number of ``logging``.

    Args:
        level: A number, or a name in any case: DEBUG, INFO, WARN, WARNING, ERROR, FATAL, CRITICAL; a number may be
            added to it or taken off, as in ``INFO+1``.

    Raises:
        ValueError: There is no such level; the message lists those that there are.
    """
    if isinstance(level, int):
        return level
    found = _LEVEL.fullmatch(level)
    number = _NAMES.get(found[1].upper()) if found is not None else None
    if found is None or number is None:
        if level.strip().isascii() and level.strip().isdigit():
            return int(level)
        raise ValueError(f"{level!r} is no level: use {', '.join(_NAMES)}, or one of them with an offset, as INFO+1")
    offset = int(found[3] or 0)
    return number - offset if found[2] == "-" else number + offset


def set_level(logger: str, level: int | str) -> None:
    """Sets the least level that a logger, and those below it without one of their own, let pass.

    Args:
        logger: Its name, such as ``kratos.grpc``; empty or ``root`` is the root logger.
        level: What ``parse_level`` reads; empty or 0 takes a logger's own level away, so that it goes by the one above.

    Raises:
        ValueError: There is no such level.

    Example:
        ``set_level("kratos.grpc", "DEBUG")``
    """
    logging.getLogger(_own(logger)).setLevel(parse_level(level or 0))


def levels() -> dict[str, str]:
    """Returns the loggers that have a level of their own, by name; the root logger is ``root``."""
    found = {"root": logging.getLogger().level}
    for name, logger in sorted(logging.getLogger().manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and logger.level:
            found[name] = logger.level
    return {name: logging.getLevelName(level) for name, level in found.items()}


def _own(logger: str) -> str | None:
    return None if logger in ("", "root") else logger
