"""``recovery()``: unexpected failures become errors that tell a client nothing but an id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from kratos.call import Call
from kratos.errors import Error
from kratos.handler import Handler, Middleware, conceal, unwrapped

__all__ = ["Rescue", "recovery"]

Rescue: TypeAlias = Callable[[Exception, Any, Call], Error]
"""``(failure, request, call) -> error``."""


def recovery(*, handler: Rescue | None = None) -> Middleware:
    """Turns any exception that is not an ``Error`` into a 500 with reason ``UNKNOWN`` and an error id.

    The failure is logged once, with its traceback, under that id, which is also the field ``error_id`` of the call.
    Dispatch does the same where nobody else has: this middleware is for having it earlier, so that what stands outside
    of it sees an ``Error``, and for ``handler``. Requests are never logged.

    Args:
        handler: Returns the error that the client gets instead of the 500. The failure has been logged by then. The
            request is ``Messages`` where requests are streamed.

    Example:
        ``recovery(handler=lambda failure, request, call: ServiceUnavailable("try later", reason="BUSY"))``
    """

    async def recover(request: Any, call: Call, next: Handler) -> Any:
        try:
            return await next(request, call)
        except Error:
            raise
        except Exception as raised:
            error = conceal(raised, call)
            failure = unwrapped(raised)
            if handler is not None and error is not failure:
                error = handler(failure, request, call)
            raise error from raised

    return recover
