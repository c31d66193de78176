"""What is counted of calls, under the names that Kratos gives it, so that its dashboards and alerts hold.

``server_requests_code_total`` and ``server_requests_seconds``, ``client_requests_code_total`` and
``client_requests_seconds`` are Kratos'; calls under way and the messages of streams are ours.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from kratos.errors import Error
from kratos.metrics.base import BUCKETS, Counter, Gauge, Histogram, Meter

__all__ = ["UNKNOWN", "CallMetrics", "Refusals"]

logger = logging.getLogger("kratos.metrics")

UNKNOWN: Final = "unknown"
"""The operation of requests that are for none."""

_OUTCOME: Final = ("kind", "operation", "code", "reason")
_OPERATION: Final = ("kind", "operation")


class CallMetrics:
    """The instruments of one side.

    Args:
        meter: What makes them.
        side: Whose calls they count, ``server`` or ``client``.
        buckets: The bounds of the histogram, in seconds.

    Attributes:
        requests: Calls that have ended; kind, operation, code, reason.
        seconds: How long they took; kind, operation.
        in_flight: Calls under way; kind, operation.
        received: Messages of streams that came in; kind, operation.
        sent: Messages of streams that went out; kind, operation.

    Raises:
        ValueError: The meter has something else under one of the names.
    """

    requests: Counter
    seconds: Histogram
    in_flight: Gauge
    received: Counter
    sent: Counter

    def __init__(self, meter: Meter, side: str, buckets: Sequence[float] = BUCKETS) -> None:
        self.requests = requests_of(meter, side)
        self.seconds = meter.histogram(
            f"{side}_requests_seconds", "How long calls took, in seconds.", labels=_OPERATION, buckets=buckets
        )
        self.in_flight = meter.gauge(f"{side}_requests_in_flight", "Calls under way.", labels=_OPERATION)
        self.received = meter.counter(
            f"{side}_messages_received_total", "Messages of streams that have come in.", labels=_OPERATION
        )
        self.sent = meter.counter(
            f"{side}_messages_sent_total", "Messages of streams that have gone out.", labels=_OPERATION
        )


def requests_of(meter: Meter, side: str) -> Counter:
    """Returns the counter of calls that have ended."""
    return meter.counter(f"{side}_requests_code_total", "Calls that have ended, by their outcome.", labels=_OUTCOME)


class Refusals:
    """Counts requests that are turned away before they are calls: unknown paths, bytes that are no request.

    They count as ``server_requests_code_total`` with the operation ``unknown``, however many paths there are.

    Args:
        meter: What keeps the counter.
        kind: The transport.
    """

    def __init__(self, meter: Meter, kind: str) -> None:
        self._meter = meter
        self._kind = kind
        self._counters: dict[tuple[int, str], Counter] = {}

    def count(self, error: Error) -> None:
        """Counts one, by the error that it was answered with."""
        outcome = error.status, error.reason
        try:
            counter = self._counters.get(outcome)
            if counter is None:
                labels = (self._kind, UNKNOWN, str(error.status), error.reason)
                counter = self._counters[outcome] = requests_of(self._meter, "server").labels(*labels)
            counter.add()
        except Exception:  # a meter that fails must not keep a client from its answer
            logger.exception("a refusal could not be counted")
