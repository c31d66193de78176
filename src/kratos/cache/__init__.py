"""A cache layer: methods whose values are kept in memory, Redis or memcached, without a stampede and never stale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.cache.base import CacheError, Encoder, Store
    from kratos.cache.encode import JsonEncoder, ProtoEncoder, RawEncoder
    from kratos.cache.keys import part
    from kratos.cache.layer import Cache
    from kratos.cache.memory import MemoryStore
    from kratos.cache.methods import Cached, cacheable, cached, invalidates
    from kratos.cache.options import Options, Paging
    from kratos.cache.twolevel import TwoLevelStore
    from kratos.cache.values import Values, partial

__all__ = [
    "Cache", "CacheError", "Cached", "Encoder", "JsonEncoder", "MemoryStore", "Options", "Paging", "ProtoEncoder",
    "RawEncoder", "Store", "TwoLevelStore", "Values", "cacheable", "cached", "invalidates", "part", "partial",
]  # fmt: skip

__getattr__ = lazy(
    __name__,
    {
        "Cache": "layer",
        "CacheError": "base",
        "Cached": "methods",
        "Encoder": "base",
        "JsonEncoder": "encode",
        "MemoryStore": "memory",
        "Options": "options",
        "Paging": "options",
        "ProtoEncoder": "encode",
        "RawEncoder": "encode",
        "Store": "base",
        "TwoLevelStore": "twolevel",
        "Values": "values",
        "cacheable": "methods",
        "cached": "methods",
        "invalidates": "methods",
        "part": "keys",
        "partial": "values",
    },
)
