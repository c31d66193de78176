"""A client's part of the nodes: the one that Kratos for Go chooses, found without sorting the whole ring."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.selector.nodes import node, nodes

from kratos.selector.fnv import POINTS, fnv1a, points
from kratos.selector.subset import Subset, subset

MEMBERS = [f"svc-{number}" for number in range(10)]


@pytest.mark.parametrize(
    ("key", "size", "chosen"),
    [
        ("key", 3, ["svc-7", "svc-2", "svc-9"]),
        ("client-1", 4, ["svc-7", "svc-3", "svc-6", "svc-0"]),
        ("", 2, ["svc-4", "svc-2"]),
    ],
)
def test_golden(key: str, size: int, chosen: list[str]) -> None:
    """The choices that Kratos v3.0.0 makes."""
    assert subset(key, MEMBERS, size) == chosen
    part = Subset(key, size)
    assert [each.address for each in part.choose([node(name) for name in MEMBERS])] == chosen


def test_few() -> None:
    """Who is not more than wanted comes back as it is."""
    assert subset("key", MEMBERS, 10) == MEMBERS
    assert subset("key", MEMBERS, 0) == MEMBERS
    assert subset("key", ["a", "a", "a"], 2) == ["a"]
    given_nodes = nodes(5)
    for size in (0, 5, 6):
        part = Subset("key", size)
        assert list(part.learn(given_nodes)) == []
        assert part.choose(given_nodes) is given_nodes


@given(st.text(max_size=30))
def test_hashes_at_once(name: str) -> None:
    """160 hashes side by side are those that are made one by one."""
    assert points(name) == tuple(fnv1a(f"{number}{name}") for number in range(POINTS))


@given(key=st.text(max_size=8), count=st.integers(1, 60), size=st.integers(1, 30), looked=st.booleans())
def test_the_nearest_are_enough(key: str, count: int, size: int, looked: bool) -> None:
    """Choosing among the nearest members is choosing among all."""
    part = Subset(key, size)
    given_nodes = nodes(count)
    if looked:
        for _ in part.learn(given_nodes):
            pass
    chosen = [each.address for each in part.choose(given_nodes)]
    assert chosen == subset(key, [each.address for each in given_nodes], size)


def test_small_changes() -> None:
    """Of 25 nodes of 200, one that leaves costs one, and one that is not among them none."""
    part = Subset("client", 25)
    before = part.choose(nodes(200))
    lost = before[3]
    after = part.choose([each for each in nodes(200) if each != lost])
    assert set(before) - set(after) == {lost}
    other = next(each for each in nodes(200) if each not in before)
    assert part.choose([each for each in nodes(200) if each != other]) == before


def test_forgotten() -> None:
    """What is gone is forgotten when somebody looks anew."""
    part = Subset("client", 2)
    for _ in part.learn(nodes(5)):
        pass
    assert len(part._nearest) == 5
    for _ in part.learn(nodes(3)):
        pass
    assert len(part._nearest) == 3
