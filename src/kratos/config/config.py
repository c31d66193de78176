"""``Config``: all sources in one, and typed values from it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import reduce
from importlib import import_module
from typing import Any, Final, TypeVar, overload

from kratos.config.base import EMPTY, ConfigError, Layer, Node, Problem, Source
from kratos.config.bind import Binder, Unknown
from kratos.config.keys import lookup, nearest, parse
from kratos.config.merge import merge, merge_layers
from kratos.config.placeholders import render

__all__ = ["Config", "Snapshot"]

T = TypeVar("T")
D = TypeVar("D")

_REQUIRED: Final[Any] = object()


class Snapshot:
    """What layers amount to: one tree, merged and rendered. Immutable; safe to read from any thread.

    Args:
        layers: The layers; later ones win.

    Raises:
        ConfigError: Placeholders cannot be filled, or keys of the environment are not clear.
    """

    __slots__ = ("_kept", "_root")

    def __init__(self, layers: Sequence[Layer]) -> None:
        environment = reduce(merge, (layer.root for layer in layers if layer.loose), EMPTY)
        self._root = render(merge_layers(layers), environment)
        self._kept: dict[tuple[Any, str, Unknown], Any] = {}

    def get(self, type_: Any, key: str, default: Any, unknown: Unknown) -> Any:
        """See ``Config.get``; ``default`` is always given."""
        kept = self._kept.get((type_, key, unknown), _REQUIRED) if isinstance(type_, type) else _REQUIRED
        if kept is not _REQUIRED:
            return kept
        found = self._find(key, required=default is _REQUIRED)
        if found is None or (found.value is None and default is not _REQUIRED):
            return default
        binder = Binder(unknown, _bind_message)
        value = binder.bind(found, type_, key)
        if binder.problems:
            raise ConfigError(binder.problems)
        if isinstance(type_, type):
            self._kept[type_, key, unknown] = value
        return value

    def _find(self, key: str, *, required: bool) -> Node | None:
        segments = parse(key)
        if segments is None:
            raise ConfigError([Problem("not a key", key)])
        found, last, missing = lookup(self._root, segments)
        if found is None and required:
            what = f"no such key{nearest(missing, last.mapping or ())}"
            raise ConfigError([Problem(what, key, last.place if last is not self._root else None)])
        return found


class Config:
    """The configuration of a program. ``Config.load`` makes one.

    Args:
        layers: What the sources say, in their order.

    Example:
        ``config = await Config.load(File("configs"), Env("SHOP_"))``, then
        ``timeout = config.get(timedelta, "server.http.timeout", default=timedelta(seconds=1))``.
    """

    # Layers stay as they were read. When sources are watched, a layer is replaced, a new snapshot is made of all, and
    # what is read of it is bound before the snapshots are swapped: so a faulty change changes nothing.

    __slots__ = ("_layers", "_snapshot")

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = tuple(layers)
        self._snapshot = Snapshot(self._layers)

    @classmethod
    async def load(cls, *sources: Source) -> Config:
        """Reads all sources, at the same time; of those that say something about a key the last one wins.

        Raises:
            ConfigError: Sources cannot be read, or what they say does not fit together: all that is wrong, at once.
        """
        layers: list[Layer] = []
        problems: list[Problem] = []
        for outcome in await asyncio.gather(*(source.load() for source in sources), return_exceptions=True):
            if isinstance(outcome, ConfigError):
                problems += outcome.problems
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                layers.append(outcome)
        if problems:
            raise ConfigError(problems)
        return cls(layers)

    @overload
    def get(self, type_: type[T], key: str = ..., *, unknown: Unknown = ...) -> T: ...
    @overload
    def get(self, type_: type[T], key: str = ..., *, default: D, unknown: Unknown = ...) -> T | D: ...
    @overload
    def get(self, type_: Any, key: str = ..., *, default: Any = ..., unknown: Unknown = ...) -> Any: ...
    def get(self, type_: Any, key: str = "", *, default: Any = _REQUIRED, unknown: Unknown = "error") -> Any:
        """Returns what a key holds, as a value of a type.

        It is read once and kept, so whoever asks twice gets the same object: take it as read-only.

        Args:
            type_: A message class, a dataclass, a class such as ``int``, ``Path`` or ``timedelta``, an enum, a
                ``Literal``, and lists, mappings and unions of these; ``object`` is plain data as it stands.
            key: The key, such as ``server.http``, ``servers[0].addr`` or ``labels."a.b"``; empty for everything.
            default: What a key that is missing, or null, amounts to.
            unknown: Whether keys that the type does not have are errors.

        Raises:
            ConfigError: The key is missing, or what it holds is no such value: all that is wrong, with places.
            TypeError: The type is none that configuration can be.
        """
        return self._snapshot.get(type_, key, default, unknown)


def _bind_message(binder: Binder, node: Node, type_: type[Any], path: str) -> Any:
    # Loaded now, because many programs have dataclasses only, and this needs the message runtime.
    return import_module("kratos.config.message").bind_message(binder, node, type_, path)
