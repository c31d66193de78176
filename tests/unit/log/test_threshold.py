"""Levels by name, while the program runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from kratos.log import levels, parse_level, set_level


@pytest.fixture
def name() -> Iterator[str]:
    yield "unit.threshold"
    logging.getLogger("unit.threshold").setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("DEBUG", 10), ("info", 20), ("Warn", 30), ("WARNING", 30), ("error", 40), ("FATAL", 50), ("critical", 50),
        ("INFO+1", 21), (" error - 5 ", 35), ("15", 15), (7, 7),
    ],
)  # fmt: skip
def test_levels_that_are(text: int | str, number: int) -> None:
    """Case and blanks do not matter; offsets are added."""
    assert parse_level(text) == number


@pytest.mark.parametrize("text", ["", "loud", "INFO+", "INFO+x", "INFO++1", "+1", "-5", "INFO WARN", "\u0661"])
def test_levels_that_are_none(text: str) -> None:
    """What is no level is told, with those that are."""
    with pytest.raises(ValueError, match="use DEBUG, INFO, WARN, WARNING, ERROR, FATAL, CRITICAL"):
        parse_level(text)


def test_setting(name: str) -> None:
    """It takes effect at once, for loggers below too, and can be taken away."""
    below = logging.getLogger(f"{name}.below")
    set_level(name, "debug")
    assert below.isEnabledFor(logging.DEBUG)
    assert levels()[name] == "DEBUG"
    set_level(name, "ERROR+1")
    assert not below.isEnabledFor(logging.ERROR)
    with pytest.raises(ValueError, match="loud"):
        set_level(name, "loud")
    assert levels()[name] == "Level 41"
    set_level(name, "")
    assert name not in levels()


def test_the_root_logger() -> None:
    """It is called root, or nothing."""
    root = logging.getLogger()
    before = root.level
    try:
        for called in ("", "root"):
            set_level(called, "ERROR")
            assert levels()["root"] == "ERROR"
            set_level(called, before)
    finally:
        root.setLevel(before)
