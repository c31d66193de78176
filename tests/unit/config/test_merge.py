"""Merging: what comes later wins."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kratos.config.base import Layer, Place, node
from kratos.config.merge import merge, merge_layers

scalars = st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=2) | st.lists(st.integers(0, 3), max_size=2)
names = st.sampled_from("abc")
trees: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(names, scalars, max_size=3), lambda inner: st.dictionaries(names, inner | scalars, max_size=3)
)
# Where all trees agree on which keys are mappings.
shaped = st.fixed_dictionaries({}, optional={
    "a": scalars,
    "m": st.fixed_dictionaries({}, optional={"b": scalars, "n": st.dictionaries(names, scalars, max_size=3)}),
})  # fmt: skip


def over(*values: Any) -> Any:
    """Merges plain values by ``merge_layers``."""
    return merge_layers([Layer(node(value, Place("x"))) for value in values]).plain()


def model(low: Any, high: Any) -> Any:
    """Merges plain values the obvious way."""
    if not isinstance(low, dict) or not isinstance(high, dict):
        return high
    return {key: model(low[key], high[key]) if key in low and key in high else {**low, **high}[key]
            for key in {**low, **high}}  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ({"s": {"http": {"addr": "x", "port": 80}, "grpc": True}}, {"s": {"http": {"port": 8080, "tls": True}}},
         {"s": {"http": {"addr": "x", "port": 8080, "tls": True}, "grpc": True}}),
        ({"l": ["a"]}, {"l": ["b", "c"]}, {"l": ["b", "c"]}),
        ({"x": {"y": 1}}, {"x": 1}, {"x": 1}),
        ({"x": 1}, {"x": {"y": 1}}, {"x": {"y": 1}}),
        ({"x": 1, "y": 1, "z": 1}, {"x": None, "y": False, "z": ""}, {"x": None, "y": False, "z": ""}),
        ({1: 2}, {"1": 3}, {"1": 3}),
        ({"x": {"y": 1}}, {"x": {}}, {"x": {"y": 1}}),
    ],
)  # fmt: skip
def test_merge(low: Any, high: Any, expected: Any) -> None:
    """Mappings are merged; all else is replaced, by empty things too."""
    assert over(low, high) == expected


@settings(deadline=None)
@given(st.lists(trees, max_size=4))
def test_later_wins(layers: list[dict[str, Any]]) -> None:
    """Any number of layers amount to what folding them one by one does, and none of them changes."""
    expected: Any = {}
    for layer in layers:
        expected = model(expected, layer)
    assert over(*layers) == expected


@settings(deadline=None)
@given(shaped, shaped, shaped)
def test_merging_is_associative(a: Any, b: Any, c: Any) -> None:
    """Where layers agree on what is a mapping it does not matter which two are merged first."""
    x, y, z = (node(each, Place("x")) for each in (a, b, c))
    assert merge(merge(x, y), z).plain() == merge(x, merge(y, z)).plain()
    assert merge(x, x).plain() == x.plain()


def test_places() -> None:
    """A value has the place of the layer it comes from, a mapping the place where it came first."""
    low = node({"a": {"x": 1, "y": 1}}, Place("low"))
    merged = merge(low, node({"a": {"y": 2}}, Place("high")))
    a = (merged.mapping or {})["a"]
    assert a.place.name == "low"
    assert {key: below.place.name for key, below in (a.mapping or {}).items()} == {"x": "low", "y": "high"}
