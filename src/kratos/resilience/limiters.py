"""What stands for a limiter: settings, live or not, or one of your own."""

from __future__ import annotations

from typing import TypeAlias, cast

from kratos.live import Live
from kratos.resilience.base import Limiter
from kratos.resilience.bbr import BBR, BBRLimiter
from kratos.resilience.quota import Quota, QuotaLimiter

__all__ = ["Limiting", "limiter_of"]

Limiting: TypeAlias = BBR | Live[BBR] | Quota | Live[Quota] | Limiter
"""A limiter, or the settings of one of ours."""


def limiter_of(given: Limiting) -> tuple[Limiter, str]:
    """Returns the limiter that is meant, and what it is called in metrics."""
    settings = given.value if isinstance(given, Live) else given
    if isinstance(settings, BBR):
        return BBRLimiter(cast("BBR | Live[BBR]", given)), "bbr"
    if isinstance(settings, Quota):
        return QuotaLimiter(cast("Quota | Live[Quota]", given)), "quota"
    return settings, type(settings).__name__
