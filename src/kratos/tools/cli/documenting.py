"""What ``kratos openapi`` does, apart from its command line: an app to the text of its document."""

from __future__ import annotations

import asyncio

from kratos.openapi import Info, document, to_json, to_yaml
from kratos.tools.cli.target import Target

__all__ = ["documented"]


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
    found = document(app.services, info=Info(app.info.name, app.info.version), exact=exact)
    return (to_yaml if as_yaml else to_json)(found), bool(found["paths"])
