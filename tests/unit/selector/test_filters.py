"""Who may be called."""

from __future__ import annotations

from unit.selector.nodes import node

from kratos.selector import metadata, version, zone

NODES = [
    node("a", version="v1", zone="here"),
    node("b", version="v2", zone="here", tier="gold"),
    node("c", version="v2", zone="there", tier="gold"),
]


def test_version() -> None:
    assert version("v2")(NODES) == NODES[1:]
    assert version("v1", "v2")(NODES) == NODES
    assert version("v3")(NODES) == []


def test_metadata() -> None:
    assert metadata(tier="gold")(NODES) == NODES[1:]
    assert metadata(tier="gold", zone="here")(NODES) == NODES[1:2]


def test_zone() -> None:
    """Neighbours, as long as there are enough; who has no zone has no neighbours."""
    assert zone("here")(NODES) == NODES[:2]
    assert zone("there")(NODES) == NODES
    assert zone("there", least=1)(NODES) == NODES[2:]
    assert zone("nowhere", least=1)(NODES) == NODES
    assert zone("")(NODES) == NODES
    assert zone("gold", key="tier")(NODES) == NODES[1:]
