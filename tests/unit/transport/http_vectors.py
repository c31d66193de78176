"""The vector files of ``tests/golden/http``: written by hand from google/api/http.proto, read by more than one test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "golden" / "http"


def vectors(name: str) -> Any:
    """Returns the content of a vector file."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
