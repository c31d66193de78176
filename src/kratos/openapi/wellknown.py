"""The messages of ``google.protobuf`` that protobuf JSON writes in a form of their own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from kratos.codec.messages import WellKnown
from kratos.openapi.digits import up_to

__all__ = ["EXACT_FORMS", "FORMS", "TEXTS", "Schema"]

Schema: TypeAlias = dict[str, Any]
"""A JSON Schema of the dialect 2020-12."""

FORMS: Final[Mapping[WellKnown, Mapping[str, Any]]] = MappingProxyType(
    {
        "Any": {
            "type": "object",
            "properties": {
                "@type": {"type": "string", "description": "Which message it is: a URL that ends in its full name."}
            },
            "additionalProperties": True,
            "description": "Any message, beside its type.",
        },
        "Duration": {
            "type": "string",
            "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$",
            "description": "A span of time in seconds.",
            "examples": ["1.500s"],
        },
        "FieldMask": {
            "type": "string",
            "format": "field-mask",
            "pattern": r"^([a-z][A-Za-z0-9]*([.,][a-z][A-Za-z0-9]*)*)?$",
            "description": "Paths of fields, separated by commas.",
            "examples": ["title,author.name"],
        },
        "ListValue": {"type": "array", "items": {}},
        "Struct": {"type": "object", "additionalProperties": True},
        "Timestamp": {"type": "string", "format": "date-time"},
        "Value": {"description": "Any JSON value."},
    }
)  # fmt: skip
"""What they are in JSON; wrappers are left out, they are what they wrap."""

EXACT_FORMS: Final[Mapping[WellKnown, Mapping[str, Any]]] = MappingProxyType(
    {
        **FORMS,
        "Duration": {
            **FORMS["Duration"],
            "pattern": rf"^-?(0|{up_to(315_576_000_000)})(\.[0-9]{{1,9}})?s$",
        },
    }
)
"""The same, with all that they may not be."""

TEXTS: Final[frozenset[WellKnown]] = frozenset({"Timestamp", "Duration", "FieldMask"})
"""Those that are text in JSON, and so in a URL too."""
