"""Templates, requests and outcomes from the vector files."""

from __future__ import annotations

import re
from typing import Any

import pytest
from unit.transport.http_vectors import vectors

from kratos.errors import Error
from kratos.pathtemplate import Template
from kratos.transport.http.route import Router

GROUPS = vectors("routes")
CLASHES = vectors("clashes")
ROWS = [(group["routes"], row) for group in GROUPS for row in group["rows"]]


def table(routes: list[str]) -> Router[str]:
    pairs = [route.split(" ", 1) for route in routes]
    return Router((method, Template(path), f"{method} {path}") for method, path in pairs)


@pytest.mark.parametrize(("routes", "row"), ROWS, ids=[f"{row[0]} -> {row[1]}" for _, row in ROWS])
def test_routes(routes: list[str], row: list[Any]) -> None:
    """A request finds its route and its variables, or the right refusal, whatever the order of declaration."""
    method, path = row[0].split(" ", 1)
    for order in (routes, routes[::-1], sorted(routes)):
        router = table(order)
        if isinstance(row[1], str):
            found = router.match(method, path)
            names = [".".join(variable.path) for variable in Template(found.target.split(" ", 1)[1]).variables]
            assert (found.target, dict(zip(names, found.values, strict=True))) == (row[1], row[2])
            continue
        with pytest.raises(Error) as refused:
            router.match(method, path)
        assert refused.value.code == row[1]
        if row[1] == 405:
            assert refused.value.metadata["allow"] == row[2]


@pytest.mark.parametrize("routes", CLASHES["clash"], ids=str)
def test_clashes(routes: list[str]) -> None:
    """Rules for the same requests are refused when the server is built, by both their names."""
    for order in (routes, routes[::-1]):
        with pytest.raises(ValueError, match="means the same paths as") as refused:
            table(order)
        assert all(route in str(refused.value) for route in order)


@pytest.mark.parametrize("routes", CLASHES["coexist"], ids=str)
def test_neighbours(routes: list[str]) -> None:
    """What can be told apart may stand side by side."""
    table(routes)
    table(routes[::-1])


@pytest.mark.parametrize(("template", "told"), CLASHES["broken"])
def test_broken_templates(template: str, told: str) -> None:
    """A template that breaks the grammar says how."""
    with pytest.raises(ValueError, match=re.escape(told)):
        Template(template)
