"""What became of an attempt, as far as the node is concerned."""

from __future__ import annotations

from typing import Final

from kratos.call import Call
from kratos.errors import Error
from kratos.selector.base import Outcome
from kratos.transport.channel import Unreached

__all__ = ["outcome_of"]

_DOWN: Final = frozenset((502, 503, 504))
_UNIMPLEMENTED: Final = 501


def outcome_of(failure: BaseException | None, call: Call) -> Outcome:
    """Returns what an attempt says about its node.

    A caller that left says nothing, and neither does a stream whose time was up: it may have been meant to last that
    long. Errors below 500 are answers. What is no ``Error`` was raised on this side.
    """
    if failure is None:
        return Outcome.GOOD
    if isinstance(failure, Unreached):
        return Outcome.UNREACHED
    if not isinstance(failure, Error) or failure.reason == "CONNECTION_CLOSED":
        return Outcome.LEFT
    code = failure.status
    if code == 499 or (code == 504 and call.operation.streams):
        return Outcome.LEFT
    if code in _DOWN:
        return Outcome.DOWN
    return Outcome.ERROR if code >= 500 and code != _UNIMPLEMENTED else Outcome.GOOD
