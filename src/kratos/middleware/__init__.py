"""Middleware: what every call may pass, on servers and clients, whatever its kind.

A middleware is a function named by its effect and lives in a module of the same name. Both are
``kratos.middleware.name``, and here the function wins: ``from kratos.middleware import recovery`` is always the
function, whoever has imported the module before.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.errors import Violation
    from kratos.middleware.access_log import access_log
    from kratos.middleware.breaker import breaker
    from kratos.middleware.metadata import metadata
    from kratos.middleware.metrics import metrics
    from kratos.middleware.ratelimit import ratelimit
    from kratos.middleware.recovery import recovery
    from kratos.middleware.retry import retry
    from kratos.middleware.timeout import timeout
    from kratos.middleware.tracing import tracing
    from kratos.middleware.validate import validate

__all__ = [
    "Violation",
    "access_log",
    "breaker",
    "metadata",
    "metrics",
    "ratelimit",
    "recovery",
    "retry",
    "timeout",
    "tracing",
    "validate",
]

# Each has a module of its name.
__getattr__ = lazy(__name__, {**{name: name for name in __all__}, "Violation": "validate"})


class _Facade(ModuleType):
    def __setattr__(self, name: str, value: object) -> None:
        # The import system binds each module it has loaded to its package, over whatever has that name.
        super().__setattr__(name, getattr(value, name, value) if isinstance(value, ModuleType) else value)


sys.modules[__name__].__class__ = _Facade
