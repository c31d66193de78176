"""What the attacks share: whatever is sent, nothing goes wrong outside of a call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from catalogue.process import ServerProcess, running


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Asserts that no attack leaves a traceback in the log of this process."""
    yield
    for when in ("setup", "call"):
        loud = [each for each in caplog.get_records(when) if each.exc_info or each.name == "asyncio"]
        assert not loud, [(each.name, each.getMessage(), each.exc_text) for each in loud]


@pytest.fixture(scope="module", params=["fast", "asgi"])
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """The catalogue in a process of its own; when all attacks are over it runs and has nothing to complain of."""
    with running("--engine", request.param) as process:
        yield process
        process.check()
