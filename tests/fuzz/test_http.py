"""Half a minute of requests at random; ``fuzz_http.py`` goes on for longer."""

from __future__ import annotations

import os

import pytest
from catalogue.process import running

from fuzz.fuzz_http import fuzz

pytestmark = pytest.mark.conformance

SECONDS = 30
SEED = int(os.environ.get("KRATOS_FUZZ_SEED", "1"))


async def test_requests_at_random() -> None:
    """No 5xx, no silence, no traceback, no growth."""
    with running() as server:
        seen = await fuzz(server, SEED, SECONDS)
    assert seen[200] > 500
    assert seen[400] > 500
    assert seen[404] > 50
