"""Limiters, breakers and the budget of retries: algorithms only, which know nothing of calls.

``kratos.middleware`` has ``ratelimit``, ``breaker`` and ``retry``, which put them into chains; here are their settings,
and what a limiter or breaker of your own has to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.resilience.base import Breaker, Limiter, Priority
    from kratos.resilience.bbr import BBR, BBRLimiter
    from kratos.resilience.budget import Retry, RetryBudget
    from kratos.resilience.quota import Quota, QuotaLimiter
    from kratos.resilience.sre import SRE, SREBreaker

__all__ = [
    "BBR",
    "SRE",
    "BBRLimiter",
    "Breaker",
    "Limiter",
    "Priority",
    "Quota",
    "QuotaLimiter",
    "Retry",
    "RetryBudget",
    "SREBreaker",
]

__getattr__ = lazy(
    __name__,
    {
        "BBR": "bbr",
        "BBRLimiter": "bbr",
        "Breaker": "base",
        "Limiter": "base",
        "Priority": "base",
        "Quota": "quota",
        "QuotaLimiter": "quota",
        "Retry": "budget",
        "RetryBudget": "budget",
        "SRE": "sre",
        "SREBreaker": "sre",
    },
)
