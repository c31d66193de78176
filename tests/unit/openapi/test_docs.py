"""The page that shows a document."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from kratos.openapi import Docs, Info, document
from kratos.openapi import docs as module

TITLE = "Shop </title><script>alert(1)</script>"


@pytest.fixture
def docs() -> Docs:
    """A page of an empty document with a title that means harm."""
    return Docs(document([], info=Info(TITLE)))


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library of the page is not installed."""
    module._asset.cache_clear()
    monkeypatch.setattr(module, "_WHEEL", "nobody_has_this_module")
    monkeypatch.setattr(module, "_asset", module._asset.__wrapped__)


def test_paths(docs: Docs) -> None:
    """Every path that is announced is answered, and no other one."""
    for path in docs.paths:
        page = docs.get(path)
        assert page is not None
        assert page.status in (200, 307)
    for path in ("/", "/doc", "/docs/../secret", "/docs/index.html", "/docsx", "/openapi.jsonx", ""):
        assert docs.get(path) is None


def test_document(docs: Docs) -> None:
    """The document is served as JSON."""
    page = docs.get("/openapi.json")
    assert page is not None
    assert dict(page.headers)["content-type"] == "application/json"
    assert json.loads(page.body)["info"]["title"] == TITLE


def test_page_loads_nothing_from_elsewhere(docs: Docs) -> None:
    """The page has no script of its own, its addresses are relative and answered, and browsers are told so."""
    page = docs.get("/docs")
    assert page is not None
    html = page.body.decode()
    assert dict(page.headers)["content-security-policy"].startswith("default-src 'self';")
    addresses = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert len(addresses) == 4
    for address in addresses:
        assert docs.get(f"/{address}") is not None
    assert re.findall(r"<script>", html) == []
    assert "alert(1)</script>" not in html


def test_start(docs: Docs) -> None:
    """The script shows the document and asks nobody else about it."""
    page = docs.get("/docs/start.js")
    assert page is not None
    settings = json.loads(page.body.decode().removeprefix("SwaggerUIBundle(").removesuffix(");\n"))
    assert settings["url"] == "./openapi.json"
    assert settings["validatorUrl"] is None


def test_trailing_slash(docs: Docs) -> None:
    """Relative addresses start from the path without the slash."""
    page = docs.get("/docs/")
    assert page is not None
    assert page.status == 307
    assert dict(page.headers)["location"] == "../docs"


def test_elsewhere() -> None:
    """Page and document may be anywhere; a proxy's prefix does not matter."""
    docs = Docs(document([], info=Info("Shop")), page="/admin/api/docs/", source="/admin/openapi.json")
    start = docs.get("/admin/api/docs/start.js")
    assert start is not None
    assert b'"url": "../../admin/openapi.json"' in start.body
    page = docs.get("/admin/api/docs")
    assert page is not None
    assert b'src="docs/start.js"' in page.body
    assert docs.get("/docs") is None


def test_untitled() -> None:
    """A document without a title has a page too."""
    page = Docs({}).get("/docs")
    assert page is not None
    assert b"<title>API</title>" in page.body


@pytest.mark.usefixtures("no_wheel")
def test_without_the_library(docs: Docs) -> None:
    """The page says how to install what it needs, and leads to the document."""
    page = docs.get("/docs")
    assert page is not None
    assert b"pip install &quot;kratos-py[docs]&quot;" in page.body
    assert b'href="./openapi.json"' in page.body
    assert docs.get("/docs/swagger-ui.js") is None
    assert docs.get("/openapi.json") is not None


def test_assets(docs: Docs) -> None:
    """Styles, script and icon come from the library."""
    kinds: dict[str, Any] = {
        "swagger-ui.css": "text/css",
        "swagger-ui.js": "text/javascript",
        "favicon.png": "image/png",
    }
    for name, kind in kinds.items():
        page = docs.get(f"/docs/{name}")
        assert page is not None
        assert dict(page.headers)["content-type"].startswith(kind)
        assert dict(page.headers)["x-content-type-options"] == "nosniff"
        assert page.body
