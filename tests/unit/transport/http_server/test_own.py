"""The server's own pages: health for everybody, the document and its page in development only."""

from __future__ import annotations

import pytest
from openapi_spec_validator import validate
from unit.transport.http_server.support import running

from kratos.call import AppInfo
from kratos.codec import JsonOptions
from kratos.transport.http import Envelope, Format, HTTPServer

pytestmark = pytest.mark.usefixtures("engine")  # over both fronts, with the same answers


async def test_health_and_readiness() -> None:
    """Alive is one thing, ready another."""
    async with running() as server:
        assert (await server.ask("/healthz")).json == {"status": "ok"}
        assert (await server.ask("/readyz")).status == 200
        server.info.readiness.set(False)
        assert (await server.ask("/readyz")).status == 503
        assert (await server.ask("/readyz", "HEAD")).status == 503
        assert (await server.ask("/healthz", "POST", b"")).status == 404


async def test_no_document_in_production(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    """What can be called is nobody's business, unless somebody works on it."""
    for value in ("", "production"):
        monkeypatch.setenv("KRATOS_ENV", value)
        async with running() as server:
            for path in ("/docs", "/openapi.json", "/docs/start.js"):
                assert (await server.ask(path)).status == 404
            assert server.server.summary == f"calls up to 10 s, {engine} engine"


async def test_document_and_page_in_development(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    """The document is valid and knows the server's format; the page and its files are there; raw routes are not."""
    monkeypatch.setenv("KRATOS_ENV", "development")
    wrapped_format = Format(json=JsonOptions(names="proto"), envelope=Envelope(data="result"))
    async with running(format=wrapped_format) as server:
        assert server.server.summary == f"calls up to 10 s, {engine} engine, docs at /docs"
        found = (await server.ask("/openapi.json")).json
        validate(found)
        assert found["info"]["title"] == "streams"
        wrapped = found["paths"]["/echo/{text}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert "result" in wrapped["properties"]
        page = await server.ask("/docs")
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert (await server.ask("/docs/swagger-ui.js")).status == 200
        assert (await server.ask("/docs/")).status == 307
        assert (await server.ask("/docs/secret")).status == 404
        assert [route.path for route in server.server.routes][-4:] == ["/healthz", "/readyz", "/openapi.json", "/docs"]


def test_a_document_needs_an_app() -> None:
    """Before it is mounted a server does not know what it serves."""
    server = HTTPServer()
    with pytest.raises(RuntimeError, match="the server is in no App yet"):
        server.document()
    server.mount([], [], AppInfo())
    assert server.document()["info"] == {"title": "API", "version": ""}
