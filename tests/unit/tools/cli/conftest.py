"""What the tests of the command line share."""

from __future__ import annotations

from commandline import kratos

__all__ = ["kratos"]
