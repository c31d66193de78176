"""What a call says of how much it matters."""

from __future__ import annotations

from typing import Final

from kratos.call import Call
from kratos.resilience.base import Priority

__all__ = ["priority_of"]

PRIORITY: Final = "x-md-global-priority"
_BY_NAME: Final = {priority.name: priority for priority in Priority}


def priority_of(call: Call) -> Priority:
    """Returns how much a call matters, by the ``x-md-global-priority`` of its metadata.

    That is ``sheddable``, ``sheddable_plus``, ``critical`` or ``critical_plus``; anything else, and nothing, is
    ``critical``. ``metadata()`` collects it, whom it trusts may say it, and from hop to hop it stays what it is.
    """
    said = call.metadata.get(PRIORITY)
    return Priority.CRITICAL if said is None else _BY_NAME.get(said.upper().replace("-", "_"), Priority.CRITICAL)
