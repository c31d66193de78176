"""What was counted."""

from __future__ import annotations

from kratos.metrics import PrometheusMeter


def counted(meter: PrometheusMeter) -> dict[str, float]:
    """Returns what a cache has counted, by ``name{labels}`` less the prefix ``cache_``."""
    text = meter.render()[1].decode()
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("cache_")]
    return {name.removeprefix("cache_"): float(value) for name, value in lines if float(value)}
