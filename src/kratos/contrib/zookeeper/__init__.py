"""ZooKeeper as registry, tested with 3.8; extra ``zookeeper``.

Records are those of Kratos for Go: its services find ours, and the other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.contrib.zookeeper.registry import ZooKeeperRegistry

__all__ = ["ZooKeeperRegistry"]

__getattr__ = lazy(__name__, {"ZooKeeperRegistry": "registry"})
