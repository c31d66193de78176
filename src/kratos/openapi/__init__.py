"""OpenAPI 3.1 from the contract: the document of services, and a page to read it on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.openapi.describe import Info, Security, document
    from kratos.openapi.docs import Docs
    from kratos.openapi.media import Envelope
    from kratos.openapi.text import to_json
    from kratos.openapi.yaml import to_yaml

__all__ = ["Docs", "Envelope", "Info", "Security", "document", "to_json", "to_yaml"]

__getattr__ = lazy(
    __name__,
    {
        "Docs": "docs",
        "Envelope": "media",
        "Info": "describe",
        "Security": "describe",
        "document": "describe",
        "to_json": "text",
        "to_yaml": "yaml",
    },
)
