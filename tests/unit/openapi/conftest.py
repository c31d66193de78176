"""What the tests of documents share: the document of the catalogue, which binds every way there is."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.gen.catalog.v1.catalog_kratos import BookService, ShelfService

from kratos.openapi import Info, document


@pytest.fixture(scope="session")
def catalog() -> dict[str, Any]:
    """The document as people get it."""
    return document([BookService, ShelfService], info=Info("Catalogue", "1.0"))
