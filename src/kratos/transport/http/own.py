"""The server's own pages, beside those of services: is it alive, is it ready, and in development what can be called.

They answer where no service has the path, outside of the law: no middleware, and no line in the access log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from kratos.openapi.docs import Docs
from kratos.transport.http.edge import Header, Response

__all__ = ["DOCS_PATH", "HEALTH_PATH", "OPENAPI_PATH", "READY_PATH", "OwnPages"]

HEALTH_PATH: Final = "/healthz"
"""Answers 200 while the server runs."""
READY_PATH: Final = "/readyz"
"""Answers 200 while the app is ready for calls, else 503."""
OPENAPI_PATH: Final = "/openapi.json"
"""The OpenAPI document."""
DOCS_PATH: Final = "/docs"
"""The page to read it on."""

_JSON: Final[Header] = (b"content-type", b"application/json")
_OK: Final = Response(200, [_JSON], b'{"status":"ok"}')
_NOT_READY: Final = Response(503, [_JSON], b'{"status":"not ready"}')


class OwnPages:
    """What a server answers by itself.

    Args:
        ready: Whether calls are welcome.
        document: Makes the OpenAPI document, when it is first asked for; None for no document and no page.
    """

    def __init__(
        self, *, ready: Callable[[], bool] = lambda: True, document: Callable[[], Mapping[str, Any]] | None = None
    ) -> None:
        self._ready = ready
        self._document = document
        self._docs: Docs | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that are worth knowing."""
        return (HEALTH_PATH, READY_PATH, *((OPENAPI_PATH, DOCS_PATH) if self._document is not None else ()))

    def get(self, path: str) -> Response | None:
        """Returns the response to a GET.

        Args:
            path: The path, without the query.

        Returns:
            The response; None if the path is none of its own.
        """
        if path == HEALTH_PATH:
            return _OK
        if path == READY_PATH:
            return _OK if self._ready() else _NOT_READY
        if self._document is None or not path.startswith((OPENAPI_PATH, DOCS_PATH)):
            return None
        if self._docs is None:
            # Calls go where the document comes from: below a prefix, if that is where we are.
            found = {**self._document(), "servers": [{"url": ".", "description": "this server"}]}
            self._docs = Docs(found, page=DOCS_PATH, source=OPENAPI_PATH)
        page = self._docs.get(path)
        if page is None:
            return None
        return Response(page.status, [(name.encode(), value.encode()) for name, value in page.headers], page.body)
