"""The page on which people read a document and try it: Swagger UI, from a wheel and not from the network.

Nothing here serves: ``Docs.get`` answers a path with a finished response, for whatever server wants to have the page.
The page loads from its own origin alone, and says so to the browser (``Content-Security-Policy``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

from kratos.openapi.text import to_json

__all__ = ["Docs", "Page"]

_WHEEL: Final = "flask_swagger_ui"  # only its files are used, its code is never imported
_INSTALL: Final = 'pip install "kratos-py[docs]"'
_ASSETS: Final[Mapping[str, tuple[str, str]]] = {
    "swagger-ui.css": ("swagger-ui.css", "text/css; charset=utf-8"),
    "swagger-ui.js": ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    "favicon.png": ("favicon-32x32.png", "image/png"),
}
# The styles and images that Swagger UI writes into the page are its own; scripts come from files alone.
_POLICY: Final = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HTML: Final = "text/html; charset=utf-8"
_HOUR: Final = "max-age=3600"
_FRESH: Final = "no-cache"


class Page(NamedTuple):
    """A whole response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Docs:
    """A document and the page that shows it.

    Args:
        document: The OpenAPI document.
        page: The path of the page.
        source: The path of the document itself, as JSON.
        tries: Whether the page offers to send requests.

    Example:
        ``Docs(document(services, info=info)).get("/docs")`` is the page, and None for a path that is none of its own.
    """

    __slots__ = ("_document", "_page", "_source", "_title", "_tries")

    def __init__(
        self, document: Mapping[str, Any], *, page: str = "/docs", source: str = "/openapi.json", tries: bool = True
    ) -> None:
        self._tries = tries
        self._page = page.rstrip("/")
        self._source = source
        self._title = str(document.get("info", {}).get("title", "")) or "API"
        self._document = to_json(document).encode()

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that is answered."""
        return (
            self._source,
            self._page,
            f"{self._page}/",
            *(f"{self._page}/{name}" for name in ("start.js", *_ASSETS)),
        )

    def get(self, path: str) -> Page | None:
        """Returns the response to a GET.

        Args:
            path: The path, without the query.

        Returns:
            The response; None if the path is none of its own.
        """
        if path == self._source:
            return _page("application/json", self._document, _FRESH)
        name = path.removeprefix(f"{self._page}/")
        if path == self._page:
            return self._front()
        if not path.startswith(f"{self._page}/"):
            return None
        if not name:  # Relative addresses in the page start from the path without the slash.
            return Page(307, (("location", f"../{self._page.rpartition('/')[2]}"), ("cache-control", _FRESH)), b"")
        if name == "start.js":
            return _page("text/javascript; charset=utf-8", self._start(), _FRESH)
        file, content_type = _ASSETS.get(name, ("", ""))
        body = _asset(file) if file else None
        return None if body is None else _page(content_type, body, _HOUR)

    def _front(self) -> Page:
        title = escape(self._title)
        folder = escape(self._page.rpartition("/")[2])
        if _asset(_ASSETS["swagger-ui.js"][0]) is None:
            source = escape(self._relative())
            told = (
                f"<h1>{title}</h1><p>The page needs a library that is not installed: "
                f'<code>{escape(_INSTALL)}</code></p><p>The document is <a href="{source}">here</a>.</p>'
            )
            return _page(_HTML, _html(title, "", told), _FRESH)
        head = (
            f'<link rel="stylesheet" href="{folder}/swagger-ui.css">'
            f'<link rel="icon" type="image/png" href="{folder}/favicon.png">'
            f'<script src="{folder}/swagger-ui.js" defer></script><script src="{folder}/start.js" defer></script>'
        )
        return _page(_HTML, _html(title, head, '<div id="docs"></div>'), _FRESH)

    def _start(self) -> bytes:
        # Without a validator: it would send the document to a server of its makers.
        settings: dict[str, Any] = {
            "dom_id": "#docs",
            "url": self._relative(),
            "deepLinking": True,
            "displayRequestDuration": True,
            "validatorUrl": None,
        }
        if not self._tries:
            settings["supportedSubmitMethods"] = []
        return f"SwaggerUIBundle({json.dumps(settings)});\n".encode()

    def _relative(self) -> str:
        """Returns where the document is, seen from the page: a proxy may have put both below a prefix."""
        depth = self._page.count("/") - 1
        return f"{'../' * depth or './'}{self._source.removeprefix('/')}"


def _html(title: str, head: str, body: str) -> bytes:
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{head}</head><body>{body}</body></html>\n'
    )
    return text.encode()


def _page(content_type: str, body: bytes, caching: str) -> Page:
    headers = (
        ("content-type", content_type),
        ("cache-control", caching),
        ("content-security-policy", _POLICY),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    )
    return Page(200, headers, body)


@cache
def _asset(file: str) -> bytes | None:
    """Reads a file of the wheel; None if the wheel is not installed."""
    spec = find_spec(_WHEEL)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(folder) / "dist" / file
        if path.is_file():
            return path.read_bytes()
    return None
