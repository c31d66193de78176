"""Metrics as users write them, and a meter of one's own: every line must satisfy both checkers. Never run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kratos import App, Call
from kratos.metrics import Counter, Meter, PrometheusMeter
from kratos.metrics.base import Reading
from kratos.middleware import metrics


class Line:
    def labels(self, *values: str) -> Line:
        return Line()

    def add(self, amount: float = 1, /) -> None: ...

    def set(self, value: float, /) -> None: ...

    def observe(self, value: float, exemplar: Mapping[str, str] | None = None, /) -> None: ...


class StatsD:
    def counter(self, name: str, help: str = "", *, labels: Sequence[str] = ()) -> Line:
        return Line()

    def gauge(self, name: str, help: str = "", *, labels: Sequence[str] = ()) -> Line:
        return Line()

    def histogram(
        self, name: str, help: str = "", *, labels: Sequence[str] = (), buckets: Sequence[float] = ()
    ) -> Line:
        return Line()

    def observed(
        self, name: str, help: str, read: Reading, *, labels: Sequence[str] = (), counter: bool = False
    ) -> Callable[[], None]:
        return lambda: None


class Orders:
    def __init__(self, meter: Meter) -> None:
        self.taken: Counter = meter.counter("orders_total", labels=("country",)).labels("ch")
        meter.observed("carts", "Carts.", lambda: 3)
        meter.observed("carts_by_country", "Carts.", lambda: {("ch",): 3}, labels=("country",))

    async def take(self, call: Call) -> None:
        self.taken.add()
        if call.app is not None:
            call.app.meter.gauge("open").set(2)


apps = [App(name="a", middleware=[metrics(meter)], meter=meter) for meter in (StatsD(), PrometheusMeter())]
Orders(apps[0].meter)
content_type, text = PrometheusMeter().render("text/plain")
