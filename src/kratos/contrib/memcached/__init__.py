"""Cached values in memcached, by a client of ours: nothing to install beside ``kratos-py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.contrib.memcached.store import MemcachedStore
    from kratos.contrib.memcached.v1 import KratosV1Store

__all__ = ["KratosV1Store", "MemcachedStore"]

__getattr__ = lazy(__name__, {"KratosV1Store": "v1", "MemcachedStore": "store"})
