"""From what a registry says to the nodes of one client, in steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite

from kratos.registry.base import Instance
from kratos.selector.base import DEFAULT_WEIGHT, Filter, Node
from kratos.selector.subset import Subset

__all__ = ["collect", "fixed", "through"]


def collect(instances: Sequence[Instance], scheme: str, found: dict[str, Node]) -> Iterator[None]:
    """Puts the nodes of some instances into ``found``, by address; of two with one address the first counts."""
    for instance in instances:
        for url in instance.endpoints:
            kind, _, rest = url.partition("://")
            if kind == scheme and (address := rest.partition("?")[0].rstrip("/")) and address not in found:
                found[address] = Node(
                    address,
                    scheme,
                    instance=instance.id,
                    version=instance.version,
                    weight=_weight(instance.metadata),
                    metadata=instance.metadata,
                )
        yield


def fixed(addresses: Iterable[str], scheme: str) -> dict[str, Node]:
    """Returns the nodes of fixed addresses."""
    return {address: Node(address, scheme) for address in addresses}


def through(filters: Iterable[Filter], nodes: Sequence[Node], part: Subset, chosen: list[Node]) -> Iterator[None]:
    """Puts into ``chosen`` what filters leave of some nodes, and of that the client's part."""
    for each in filters:
        yield
        nodes = each(nodes)
    yield from part.learn(nodes)
    chosen.extend(part.choose(nodes))
    yield


def _weight(metadata: Mapping[str, str]) -> float:
    """Returns the weight that an instance asks for; what is no number, or less than 0, is the usual one."""
    try:
        weight = float(metadata["weight"])
    except (KeyError, ValueError, TypeError):
        return DEFAULT_WEIGHT
    return weight if isfinite(weight) and weight >= 0 else DEFAULT_WEIGHT
