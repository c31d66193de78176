"""Who serves what, and where: registration and discovery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.registry.base import Discovery, Instance, Registrar
    from kratos.registry.memory import MemoryRegistry

__all__ = ["Discovery", "Instance", "MemoryRegistry", "Registrar"]

__getattr__ = lazy(__name__, {"Discovery": "base", "Instance": "base", "MemoryRegistry": "memory", "Registrar": "base"})
