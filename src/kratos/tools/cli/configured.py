"""How an app is configured, as rows for scripts and as text for people."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from kratos.app import App
from kratos.config.base import ConfigError, Place
from kratos.config.config import Config
from kratos.config.listing import Entry
from kratos.tools.cli.places import seen_from_here
from kratos.tools.cli.target import Target
from kratos.tools.cli.terminal import paint
from kratos.tools.failure import USAGE, Failure

__all__ = ["found", "rows", "text"]

_JSON: Final = frozenset({str, bool, int, float, list, dict, type(None)})
_WIDEST = 60  # values that are longer do not push all places to the right


def found(target: str | None, key: str) -> list[Entry]:
    """Returns the values below a key, of the app that somebody names or that of the project; nothing is started.

    Raises:
        Failure: There is no such app or key, or the app watches no configuration.
    """
    app = asyncio.run(Target.of(target, command="kratos config show --app").app())
    configs = _watched(app)
    if not configs:
        raise Failure("the app watches no configuration", hint="App(hooks=[config.watching])")
    values: list[Entry] = []
    failures: list[ConfigError] = []
    for config in configs:
        try:
            values += config.entries(key)
        except ConfigError as error:
            failures.append(error)
    if len(failures) == len(configs):
        raise Failure(str(failures[0]), hint="kratos config show", code=USAGE)
    return values


def _watched(app: App) -> list[Config]:
    """Returns the configurations whose ``watching`` is a hook of the app."""
    owners = [getattr(hook, "__self__", None) for hook in app.hooks]
    return [owner for owner in owners if isinstance(owner, Config)]


def rows(values: Sequence[Entry]) -> list[dict[str, Any]]:
    """Returns one object for each value."""
    return [
        {
            "key": each.key,
            "value": _plain(each.value),
            "secret": each.secret,
            "place": _source(each.place),
            "line": each.place.line or None,
        }
        for each in values
    ]


def text(values: Sequence[Entry]) -> Iterator[str]:
    """Yields a line for each value: key, value, and where it is written."""
    shown = [(each.key, _shown(each), _said(each.place)) for each in values]
    keys = max((len(key) for key, _, _ in shown), default=0)
    width = max((len(value) for _, value, _ in shown if len(value) <= _WIDEST), default=0)
    for key, value, place in shown:
        yield f"{key:{keys}}  {paint(value, 'strong')}{' ' * (width - len(value))}  {paint(place, 'faint')}"


def _shown(entry: Entry) -> str:
    return entry.value if entry.secret else json.dumps(_plain(entry.value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Returns a value as JSON has it: TOML knows times."""
    return value if type(value) in _JSON else str(value)


def _source(place: Place) -> str:
    return seen_from_here(Path(place.name)) if Path(place.name).is_absolute() else place.name


def _said(place: Place) -> str:
    return f"{_source(place)}:{place.line}" if place.line else _source(place)
