"""What the tests of the tools share: a project to work on."""

from __future__ import annotations

from demoproject import demo

__all__ = ["demo"]
