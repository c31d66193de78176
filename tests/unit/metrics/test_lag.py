"""Loop lag, meters that keep nothing, and meters that fail."""

from __future__ import annotations

import pytest

from kratos.errors import NotFound
from kratos.metrics import Meter, NoopMeter, PrometheusMeter
from kratos.metrics.calls import Refusals
from kratos.metrics.lag import EVERY_SECONDS, LoopLag
from kratos.testing import FakeClock


def counts(meter: PrometheusMeter) -> list[int]:
    """Returns how often the loop was late, by bucket."""
    found: list[int] = meter.histogram("kratos_event_loop_lag_seconds", buckets=_BOUNDS).counts
    return found


_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


async def test_lag() -> None:
    """A loop in time is in the first bucket; one that was held up is where its delay belongs."""
    meter = PrometheusMeter()
    lag = LoopLag(meter)
    with FakeClock() as clock:
        lag.start()
        lag.start()
        for _ in range(3):
            await clock.advance(EVERY_SECONDS)
        assert counts(meter)[0] == sum(counts(meter)) == 3
        await clock.advance(EVERY_SECONDS + 0.3)
        assert counts(meter)[_BOUNDS.index(0.5)] == 1
        lag.stop()
        lag.stop()
        await clock.advance(10 * EVERY_SECONDS)
        assert sum(counts(meter)) == 4


def test_nothing() -> None:
    """A NoopMeter takes everything and keeps nothing."""
    meter: Meter = NoopMeter()
    meter.counter("no name at all", labels=("a",)).labels("b").add()
    meter.gauge("x").set(1)
    meter.gauge("x").add()
    meter.histogram("x").observe(1, {})
    meter.observed("x", "", lambda: 1 / 0)()


def test_a_refusal_that_cannot_be_counted(caplog: pytest.LogCaptureFixture) -> None:
    """A meter that fails keeps no client from its answer; the log says so."""
    meter = PrometheusMeter()
    meter.gauge("server_requests_code_total")
    Refusals(meter, "http").count(NotFound("x"))
    assert caplog.messages == ["a refusal could not be counted"]
