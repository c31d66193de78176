"""How a client spreads its calls: one record for all there is to choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kratos.selector.base import Balancer, Filter
from kratos.selector.outlier import DEFAULT_OUTLIER, Outlier
from kratos.selector.p2c import P2C

__all__ = ["Balancing"]


@dataclass(frozen=True, slots=True)
class Balancing:
    """How a client spreads its calls over the nodes of its target, over HTTP and gRPC alike.

    Attributes:
        balancer: Makes the balancer of one client: a class, or a function for one with options.
        filters: Who may be called at all, one after the other.
        subset: Each client knows at most so many of the nodes, by chance; 0 is all. Balancers by key know all.
        outlier: When a node that fails is left alone; None for those that cannot be connected to only.
        idle: Seconds after which a connection that no call uses is closed.

    Raises:
        ValueError: A number is below zero.

    Example:
        ``HTTPClient("discovery:///shop", discovery=registry, balancing=Balancing(balancer=LeastRequest))``
    """

    balancer: Callable[[], Balancer] = P2C
    filters: Sequence[Filter] = ()
    subset: int = 25
    outlier: Outlier | None = DEFAULT_OUTLIER
    idle: float = 300.0

    def __post_init__(self) -> None:
        if self.subset < 0 or self.idle <= 0:
            raise ValueError(f"Balancing(subset={self.subset}, idle={self.idle}): 0 or more, and more than 0 seconds")
