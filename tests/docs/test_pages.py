"""The Python of the pages in docs runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("page", "count"),
    [
        ("admin.md", 2),
        ("etcd.md", 2),
        ("balancing.md", 3),
        ("cache.md", 2),
        ("grpc.md", 5),
        ("http-beside.md", 3),
        ("http-replies.md", 1),
        ("http-server.md", 1),
        ("logs.md", 5),
        ("metrics.md", 3),
        ("openapi.md", 2),
        ("registry.md", 3),
        ("resilience.md", 3),
        ("tracing.md", 4),
        ("zookeeper.md", 1),
    ],
)
def test_blocks_run(page: str, count: int) -> None:
    """The blocks run, from the top of the page to its end, and what they assert is so."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == count
    names = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, page, "exec", dont_inherit=True), names)  # noqa: S102 - our own text
