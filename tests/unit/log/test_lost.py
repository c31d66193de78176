"""Lines that nobody reads in time are a metric: exact, while it goes on and ever after."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import threading
from collections.abc import Iterator

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping
from roundtrip.service import Kinds

from kratos import App, HTTPClient, HTTPServer, Shutdown
from kratos.log import setup
from kratos.metrics import PrometheusMeter
from kratos.middleware import access_log

LIMIT, BEYOND = 10, 7
PATIENCE = 60.0


class Stalled(io.StringIO):
    """A stream whose reader has fallen asleep: a write does not return until somebody wakes it up."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.awake = threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        assert self.awake.wait(PATIENCE)
        return super().write(text)

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def stalled() -> Iterator[Stalled]:
    stream = Stalled()
    yield stream
    stream.awake.set()


def lost(meter: PrometheusMeter) -> dict[str, float]:
    """Returns what the meter shows, by log."""
    found = re.findall(r'^kratos_log_lines_lost_total\{log="(\w+)"\} (\S+)$', meter.render()[1].decode(), re.MULTILINE)
    return {log: float(count) for log, count in found}


async def test_of_the_access_log(stalled: Stalled) -> None:
    """Calls go on while nobody reads, and each line that has no room is counted once, also after it was told."""
    log, meter = access_log(to=stalled, format="json", limit=LIMIT), PrometheusMeter()
    server = HTTPServer("127.0.0.1:0")
    app = App(
        name="test", services=[Kinds()], middleware=[log], servers=[server], meter=meter, shutdown=Shutdown(drain=0)
    )
    async with app:
        assert lost(meter) == {"access": 0, "log": 0}
        async with HTTPClient(app.info.endpoints[0]) as conn:
            await KindsClient(conn).echo(Ping())
            assert await asyncio.to_thread(stalled.entered.wait, PATIENCE)
            for _ in range(LIMIT + BEYOND):
                assert (await KindsClient(conn).echo(Ping(text="a"))).text == "a"
        assert lost(meter) == {"access": BEYOND, "log": 0}
        stalled.awake.set()
        await log.aclose()
        assert lost(meter) == {"access": BEYOND, "log": 0}
    *calls, told = stalled.lines()
    assert len(calls) == 1 + LIMIT
    assert told["lost"] == BEYOND


def test_of_the_log(stalled: Stalled) -> None:
    """The log of the process is shown by every app, also if it is set up after the app was made."""
    meter = PrometheusMeter()
    App(name="test", meter=meter)
    logger = logging.getLogger("test_lost")
    log = setup(to=stalled, format="json", limit=LIMIT)
    try:
        logger.info("first")
        assert stalled.entered.wait(PATIENCE)
        for number in range(LIMIT + BEYOND):
            logger.info("%d", number)
        assert lost(meter)["log"] == BEYOND
        stalled.awake.set()
        assert log.flush(PATIENCE)
        assert lost(meter)["log"] == BEYOND
    finally:
        stalled.awake.set()
        log.close()
    assert lost(meter)["log"] == 0
    *lines, told = stalled.lines()
    assert len(lines) == 1 + LIMIT
    assert told["lost"] == BEYOND
