"""Tools for tests: a service in memory, time under control, and an async pytest plugin.

Loaded name by name: the pytest plugin lives in this package, and a test run that does not use the rest should not pay
for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.testing.clock import FakeClock
    from kratos.testing.memory import MemoryChannel
    from kratos.testing.serving import serve

__all__ = ["FakeClock", "MemoryChannel", "serve"]

__getattr__ = lazy(__name__, {"FakeClock": "clock", "MemoryChannel": "memory", "serve": "serving"})
