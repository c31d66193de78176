"""Every test here leaves nothing behind: no task, no async generator, no connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kratos.call import current_call


@pytest.fixture(autouse=True)
async def _nothing_left() -> AsyncIterator[None]:
    # As nothing_left() in roundtrip/service.py, which walks the whole heap and is too slow for so many tests: the loop
    # knows its generators. Sessions and connections left open warn, and warnings are errors.
    yield
    await asyncio.sleep(0)  # connections that were closed tell their protocols in the next round of the loop
    loop: Any = asyncio.get_running_loop()
    assert not asyncio.all_tasks() - {asyncio.current_task()}
    assert not [
        generator for generator in loop._asyncgens if generator.ag_frame and "_nothing_left" not in repr(generator)
    ]
    assert current_call() is None
