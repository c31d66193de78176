"""What ``kratos openapi`` does, apart from its command line: an app to the text of its document."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, runtime_checkable

from kratos.openapi import Info, document, to_json, to_yaml
from kratos.tools.cli.target import Target

__all__ = ["documented"]


@runtime_checkable
class _Documented(Protocol):
    """A server that describes what it serves: it knows its codecs, its format and its own services."""

    def document(self, *, exact: bool = False) -> dict[str, Any]: ...


def documented(target: Target, *, exact: bool, as_yaml: bool) -> tuple[str, bool]:
    """Loads an app and returns its document as text, and whether it has any path.

    Args:
        target: Where the app is.
        exact: Describe every value that can be on the wire.
        as_yaml: YAML instead of JSON.

    Raises:
        Failure: The app cannot be loaded; the message has the place.
    """
    app = asyncio.run(target.app())
    server = next((server for server in app.servers if isinstance(server, _Documented)), None)
    if server is None:
        found = document(app.services, info=Info(app.info.name, app.info.version), exact=exact)
    else:
        found = server.document(exact=exact)
    return (to_yaml if as_yaml else to_json)(found), bool(found["paths"])
