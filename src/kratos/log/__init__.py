"""What is logged: one line of one look for everything, with the fields of the call and without secrets.

``setup()`` is called once, where the program begins; all else is ``logging`` as everybody knows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.log.handler import QueuedHandler
    from kratos.log.install import Log, setup
    from kratos.log.redact import Redaction
    from kratos.log.threshold import levels, parse_level, set_level

__all__ = ["Log", "QueuedHandler", "Redaction", "levels", "parse_level", "set_level", "setup"]

__getattr__ = lazy(
    __name__,
    {
        "Log": "install",
        "QueuedHandler": "handler",
        "Redaction": "redact",
        "levels": "threshold",
        "parse_level": "threshold",
        "set_level": "threshold",
        "setup": "install",
    },
)
