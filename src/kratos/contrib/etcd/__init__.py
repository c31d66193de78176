"""etcd 3.4 and newer as registry and as a source of configuration; extra ``etcd``, which needs no further library.

Records are those of Kratos for Go: its services find ours, and the other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.contrib.etcd.registry import EtcdRegistry
    from kratos.contrib.etcd.source import EtcdSource

__all__ = ["EtcdRegistry", "EtcdSource"]

__getattr__ = lazy(__name__, {"EtcdRegistry": "registry", "EtcdSource": "source"})
