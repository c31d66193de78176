"""The Python of docs/http-replies.md runs."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "http-replies.md"


def test_blocks_run() -> None:
    """Every block runs by itself, and what it asserts is so."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), {"__name__": "page"})  # noqa: S102 - our own text
