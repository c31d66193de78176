"""``Env``: variables of the environment.

``SHOP_SERVER__HTTP__ADDR`` is ``server.http.addr`` for the prefix ``SHOP_``: two underscores go one level down.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType

from kratos.config.base import MAX_DEPTH, ConfigError, Layer, Node, Place, Problem, node
from kratos.config.merge import merge

__all__ = ["Env"]


class Env:
    """The variables that begin with a prefix, without it, in lower case.

    They mean the keys that other sources have, without regard to case and single underscores: ``READ_TIMEOUT``
    overrides ``readTimeout``. Values are texts, which become numbers, truth values or durations where those are wanted,
    and lists or mappings if they are JSON. They are taken as they are: a placeholder in them is none.

    Args:
        prefix: What the names begin with. Without one all variables are read, which is of use for placeholders.
        environ: The variables; those of this process, at the time of loading, if not given.
    """

    def __init__(self, prefix: str = "", *, environ: Mapping[str, str] | None = None) -> None:
        self._prefix = prefix
        self._environ = environ

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"environment {self._prefix}*"

    async def load(self) -> Layer:
        """Reads the variables."""
        environ = os.environ if self._environ is None else self._environ
        root = node({}, Place(self.name))
        owners: dict[tuple[str, ...], str] = {}
        problems: list[Problem] = []
        for name in sorted(environ):
            path = self._path(name)
            if path is None:
                continue
            place = Place(f"{name} (environment)")
            rival = _rival(path, owners)
            if rival is not None:
                problems.append(Problem(f"cannot be set beside {rival}", ".".join(path), place))
                continue
            owners[path] = name
            root = merge(root, _nested(path, Node(environ[name], place, literal=True)))
        if problems:
            raise ConfigError(problems)
        return Layer(root, loose=True)

    def _path(self, name: str) -> tuple[str, ...] | None:
        """Returns the key that a variable is, None for one that is not ours."""
        if not name.startswith(self._prefix):
            return None
        path = tuple(name[len(self._prefix) :].removeprefix("_").lower().split("__"))
        return path if all(path) and len(path) <= MAX_DEPTH else None


def _rival(path: tuple[str, ...], owners: Mapping[tuple[str, ...], str]) -> str | None:
    """Returns the variable that says something about the same key, or about all that is above or below it."""
    for other, name in owners.items():
        shared = min(len(path), len(other))
        if path[:shared] == other[:shared]:
            return name
    return None


def _nested(path: tuple[str, ...], leaf: Node) -> Node:
    nested = leaf
    for key in reversed(path):
        nested = Node(MappingProxyType({key: nested}), leaf.place)
    return nested
