"""Who serves what, and where: registration and discovery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.registry.announcing import Registration
    from kratos.registry.base import Discovery, Instance, InvalidInstance, Registrar, Registry
    from kratos.registry.dns import DNSDiscovery
    from kratos.registry.file import FileRegistry, embedded
    from kratos.registry.memory import MemoryRegistry
    from kratos.registry.multi import MultiRegistry
    from kratos.registry.patience import Patience
    from kratos.registry.static import StaticDiscovery
    from kratos.registry.supervised import SupervisedRegistry

__all__ = [
    "DNSDiscovery",
    "Discovery",
    "FileRegistry",
    "Instance",
    "InvalidInstance",
    "MemoryRegistry",
    "MultiRegistry",
    "Patience",
    "Registrar",
    "Registration",
    "Registry",
    "StaticDiscovery",
    "SupervisedRegistry",
    "embedded",
]

__getattr__ = lazy(
    __name__,
    {
        "DNSDiscovery": "dns",
        "Discovery": "base",
        "FileRegistry": "file",
        "Instance": "base",
        "InvalidInstance": "base",
        "MemoryRegistry": "memory",
        "MultiRegistry": "multi",
        "Patience": "patience",
        "Registrar": "base",
        "Registration": "announcing",
        "Registry": "base",
        "StaticDiscovery": "static",
        "SupervisedRegistry": "supervised",
        "embedded": "file",
    },
)
