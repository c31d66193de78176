"""Façades whose names are loaded when they are first used: importing a package costs only what is used of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["lazy"]


def lazy(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Returns the ``__getattr__`` of a façade (PEP 562).

    Args:
        package: The façade's ``__name__``.
        homes: The module of each name, relative to the package; one more dot in front is the package above.
    """

    def load(name: str) -> object:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f".{home}", package), name)

    return load
