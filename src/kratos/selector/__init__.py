"""Who takes a call: balancers, filters, and what happens to nodes that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.selector.balancing import Balancing
    from kratos.selector.base import Asked, Balancer, Filter, Flight, Node, Outcome
    from kratos.selector.filters import metadata, version, zone
    from kratos.selector.hashring import HashRing
    from kratos.selector.leastrequest import LeastRequest
    from kratos.selector.outlier import Ejection, Outlier
    from kratos.selector.p2c import P2C
    from kratos.selector.pool import Pool
    from kratos.selector.random import Random
    from kratos.selector.wrr import WRR

__all__ = [
    "P2C",
    "WRR",
    "Asked",
    "Balancer",
    "Balancing",
    "Ejection",
    "Filter",
    "Flight",
    "HashRing",
    "LeastRequest",
    "Node",
    "Outcome",
    "Outlier",
    "Pool",
    "Random",
    "metadata",
    "version",
    "zone",
]

__getattr__ = lazy(
    __name__,
    {
        "P2C": "p2c",
        "WRR": "wrr",
        "Asked": "base",
        "Balancer": "base",
        "Balancing": "balancing",
        "Ejection": "outlier",
        "Filter": "base",
        "Flight": "base",
        "HashRing": "hashring",
        "LeastRequest": "leastrequest",
        "Node": "base",
        "Outcome": "base",
        "Outlier": "outlier",
        "Pool": "pool",
        "Random": "random",
        "metadata": "filters",
        "version": "filters",
        "zone": "filters",
    },
)
