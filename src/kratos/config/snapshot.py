"""``Snapshot``: what layers amount to at one time; and what whoever has typed values offers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from importlib import import_module
from typing import Any, Final, TypeVar, overload

from kratos.config.base import EMPTY, ConfigError, Layer, Node, Problem
from kratos.config.bind import Binder, Unknown
from kratos.config.keys import lookup, nearest, parse
from kratos.config.merge import merge, merge_layers
from kratos.config.placeholders import render

__all__ = ["REQUIRED", "Reader", "Snapshot"]

T = TypeVar("T")
D = TypeVar("D")

REQUIRED: Final[Any] = object()
"""Stands for a default where there is none."""


class Reader:
    """Whoever has typed values by their keys."""

    __slots__ = ()

    @overload
    def get(self, type_: type[T], key: str = ..., *, unknown: Unknown = ...) -> T: ...
    @overload
    def get(self, type_: type[T], key: str = ..., *, default: D, unknown: Unknown = ...) -> T | D: ...
    @overload
    def get(self, type_: Any, key: str = ..., *, default: Any = ..., unknown: Unknown = ...) -> Any: ...
    def get(self, type_: Any, key: str = "", *, default: Any = REQUIRED, unknown: Unknown = "error") -> Any:
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
        return self.read(type_, key, default, unknown)

    def read(self, type_: Any, key: str, default: Any, unknown: Unknown) -> Any:
        """Does what ``get`` does; ``default`` is ``REQUIRED`` if there is none."""
        raise NotImplementedError


class Snapshot(Reader):
    """What layers amount to: one tree, merged and rendered. Immutable; safe to read from any thread.

    Args:
        layers: The layers; later ones win.

    Attributes:
        root: The tree.
        hidden: Paths of what has been read as a field that nobody may see.

    Raises:
        ConfigError: Placeholders cannot be filled, or keys of the environment are not clear.
    """

    __slots__ = ("_kept", "hidden", "root")

    def __init__(self, layers: Sequence[Layer]) -> None:
        environment = reduce(merge, (layer.root for layer in layers if layer.loose), EMPTY)
        self.root = render(merge_layers(layers), environment)
        self._kept: dict[tuple[Any, str, Unknown], Any] = {}
        self.hidden: set[str] = set()

    def kept(self, type_: Any, key: str, unknown: Unknown) -> Any:
        """Returns a value that has been read before; ``REQUIRED`` if it has to be read yet."""
        return self._kept.get((type_, key, unknown), REQUIRED) if isinstance(type_, type) else REQUIRED

    def read(self, type_: Any, key: str, default: Any, unknown: Unknown) -> Any:
        """Does what ``get`` does; ``default`` is ``REQUIRED`` if there is none."""
        kept = self.kept(type_, key, unknown)
        if kept is not REQUIRED:
            return kept
        found = self.found(key) if default is REQUIRED else self.find(key)
        if found is None or (found.value is None and default is not REQUIRED):
            return default
        binder = Binder(unknown, _bind_message)
        value = binder.bind(found, type_, key)
        self.hidden |= binder.hidden
        if binder.problems:
            raise ConfigError(binder.problems)
        if isinstance(type_, type):
            self._kept[type_, key, unknown] = value
        return value

    def find(self, key: str) -> Node | None:
        """Returns what a key holds; None if it is not there.

        Raises:
            ConfigError: It is no key.
        """
        return lookup(self.root, _segments(key))[0]

    def found(self, key: str) -> Node:
        """Returns what a key holds.

        Raises:
            ConfigError: It is no key, or is not there.
        """
        found, last, missing = lookup(self.root, _segments(key))
        if found is None:
            what = f"no such key{nearest(missing, last.mapping or ())}"
            raise ConfigError([Problem(what, key, last.place if last is not self.root else None)])
        return found


def _segments(key: str) -> tuple[str | int, ...]:
    segments = parse(key)
    if segments is None:
        raise ConfigError([Problem("not a key", key)])
    return segments


def _bind_message(binder: Binder, node: Node, type_: type[Any], path: str) -> Any:
    # Loaded now, because many programs have dataclasses only, and this needs the message runtime.
    return import_module("kratos.config.message").bind_message(binder, node, type_, path)
