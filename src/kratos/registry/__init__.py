"""Who serves what, and where: registration and discovery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.registry.base import Discovery, Instance, InvalidInstance, Registrar
    from kratos.registry.memory import MemoryRegistry
    from kratos.registry.patience import Patience
    from kratos.registry.supervised import SupervisedRegistry

__all__ = [
    "Discovery",
    "Instance",
    "InvalidInstance",
    "MemoryRegistry",
    "Patience",
    "Registrar",
    "SupervisedRegistry",
]

__getattr__ = lazy(
    __name__,
    {
        "Discovery": "base",
        "Instance": "base",
        "InvalidInstance": "base",
        "MemoryRegistry": "memory",
        "Patience": "patience",
        "Registrar": "base",
        "SupervisedRegistry": "supervised",
    },
)
