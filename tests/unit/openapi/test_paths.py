"""Path templates as OpenAPI has them."""

from __future__ import annotations

import pytest

from kratos.openapi.paths import PathTemplate

TRANSLATED = {
    "/v1/books": ("/v1/books", []),
    "/v1/books/{id}": ("/v1/books/{id}", ["id"]),
    "/v1/books/{book.id}": ("/v1/books/{book.id}", ["book.id"]),
    "/v1/{name=*}": ("/v1/{name}", ["name"]),
    "/v1/{name=**}": ("/v1/{name}", ["name"]),
    "/v1/{name=shelves/*}": ("/v1/shelves/{name_shelves}", ["name_shelves"]),
    "/v1/{name=shelves/*/books/*}:move": (
        "/v1/shelves/{name_shelves}/books/{name_books}:move",
        ["name_shelves", "name_books"],
    ),
    "/v1/{name=files/**}": ("/v1/files/{name_files}", ["name_files"]),
    "/v1/{name=*/*}": ("/v1/{name_1}/{name_2}", ["name_1", "name_2"]),
    "/v1/{name=a/*/a/*}": ("/v1/a/{name_a}/a/{name_a_2}", ["name_a", "name_a_2"]),
    "/v1/{name=shelves}": ("/v1/shelves", []),
    "/v1/*/x": ("/v1/{segment_1}/x", ["segment_1"]),
    "/v1/**": ("/v1/{segment_1}", ["segment_1"]),
    "/v1/{name=a-b/*}": ("/v1/a-b/{name_a_b}", ["name_a_b"]),
    "/v1/a*b": ("/v1/a*b", []),
}


@pytest.mark.parametrize("template", list(TRANSLATED))
def test_translated(template: str) -> None:
    """Every kind of variable becomes parameters of one segment."""
    path = PathTemplate(template)
    assert (path.text, [parameter.name for parameter in path.parameters]) == TRANSLATED[template]


def test_spanning() -> None:
    """Only ** spans segments."""
    assert [each.many for each in PathTemplate("/{a}/{b=x/*}/{c=**}").parameters] == [False, False, True]


def test_variables() -> None:
    """The fields that a path fills are known, those of which no part varies too."""
    assert PathTemplate("/{a.b}/{c=x/*}/{d=y}").variables == ["a.b", "c", "d"]


def test_shape() -> None:
    """Names of variables make no other path."""
    assert PathTemplate("/v1/{a}/x").shape == PathTemplate("/v1/{b.c}/x").shape != PathTemplate("/v1/{a}/y").shape
