"""A document as text: the same bytes for the same contract, whoever writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["to_json"]


def to_json(document: Mapping[str, Any]) -> str:
    """Returns a document as JSON, for people to read and for diffs."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
