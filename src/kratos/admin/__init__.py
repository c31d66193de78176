"""The operators' port: health, metrics, documents, and what the process is doing right now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.admin.checks import Check
    from kratos.admin.server import AdminServer

__all__ = ["AdminServer", "Check"]

__getattr__ = lazy(__name__, {"AdminServer": "server", "Check": "checks"})
