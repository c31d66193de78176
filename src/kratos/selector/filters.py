"""Who may be called: by version, by metadata, by zone."""

from __future__ import annotations

from collections.abc import Sequence

from kratos.selector.base import Filter, Node

__all__ = ["metadata", "version", "zone"]


def version(*wanted: str) -> Filter:
    """Leaves the nodes of some versions.

    Example:
        ``Balancing(filters=[version("v2")])``
    """

    def fitting(nodes: Sequence[Node]) -> Sequence[Node]:
        return [node for node in nodes if node.version in wanted]

    return fitting


def metadata(**wanted: str) -> Filter:
    """Leaves the nodes whose metadata say all of this.

    Example:
        ``Balancing(filters=[metadata(tier="gold")])``
    """

    def fitting(nodes: Sequence[Node]) -> Sequence[Node]:
        return [node for node in nodes if all(node.metadata.get(key) == value for key, value in wanted.items())]

    return fitting


def zone(here: str, *, least: int = 2, key: str = "zone") -> Filter:
    """Leaves the nodes of one zone, as long as enough of them work; after that it leaves all.

    Args:
        here: The zone of this process; an empty one has no neighbours, and all are left.
        least: How many nodes have to be there, ejected ones not counted, to take the calls of the zone.
        key: Where a node's metadata say its zone.

    Example:
        ``Balancing(filters=[zone(os.environ.get("ZONE", ""))])``
    """

    def near(nodes: Sequence[Node]) -> Sequence[Node]:
        local = [node for node in nodes if node.metadata.get(key) == here] if here else []
        return local if len(local) >= least else nodes

    return near
