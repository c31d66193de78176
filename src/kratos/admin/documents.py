"""The OpenAPI document of the HTTP server and the page to read it on, in production too: here it is for operators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol, runtime_checkable

from kratos.openapi.docs import Docs
from kratos.transport.http.edge import Response

__all__ = ["DOCS_PATH", "OPENAPI_PATH", "Documents"]

DOCS_PATH: Final = "/docs"
"""The page."""
OPENAPI_PATH: Final = "/openapi.json"
"""The document."""


@runtime_checkable
class _Documented(Protocol):
    @property
    def endpoint(self) -> str: ...

    def document(self) -> dict[str, Any]: ...


class Documents:
    """Answers with the document of the first server that has one.

    Args:
        servers: The servers of the app.
    """

    def __init__(self, servers: Iterable[object]) -> None:
        self._server = next((each for each in servers if isinstance(each, _Documented)), None)
        self._docs: Docs | None = None

    @property
    def known(self) -> bool:
        """Whether there is a document."""
        return self._server is not None

    def file(self, path: str) -> Response | None:
        """Returns the response to a GET; None if there is no document, or the path is none of its own."""
        server = self._server
        if server is None or not path.startswith((DOCS_PATH, OPENAPI_PATH)):
            return None
        if self._docs is None:
            # Read here and tried elsewhere: a page of this port may not call another one.
            found = {**server.document(), "servers": [{"url": server.endpoint or "."}]}
            self._docs = Docs(found, page=DOCS_PATH, source=OPENAPI_PATH, tries=False)
        page = self._docs.get(path)
        if page is None:
            return None
        return Response(page.status, [(name.encode(), value.encode()) for name, value in page.headers], page.body)
