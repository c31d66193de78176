"""``validate()``: requests are checked before a handler sees them, and all that is wrong is said at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeAlias, cast, runtime_checkable

from kratos.call import Call
from kratos.errors import BadRequest, Violation
from kratos.handler import Handler, Messages, Middleware
from kratos.operation import AnyOperation
from kratos.wire.google.rpc import error_details_pb as details

__all__ = ["Check", "Prepared", "Violation", "validate"]


Check: TypeAlias = Callable[[Any], Iterable[Violation] | None]
"""Returns what is wrong with a message: nothing, None, or violations. May raise a ``ValueError`` for a single one."""


@runtime_checkable
class Prepared(Protocol):
    """A check that wants to know its messages before the first request."""

    def prepare(self, message: type[Any], /) -> None:
        """Gets ready for messages of a type; called once per operation when a server is built.

        Raises:
            ValueError: The rules of the type cannot be followed; the message names them.
        """
        ...


def validate(*checks: Check) -> Middleware:
    """Refuses requests that fail a check with 400, reason ``VALIDATOR``.

    Its metadata has the messages by field and its details are one ``google.rpc.BadRequest``. Every check runs, so the
    caller learns of everything at once. In a stream of requests each message is checked as it is read, and one that
    fails ends the call. A request that could not be read (``call.rejected``) is not looked at.

    Args:
        checks: Functions of a message. An ``Error`` that one raises is the answer as it is; other exceptions than
            ``ValueError`` are defects.

    Raises:
        ValueError: From the server that is built with it: the rules of a message cannot be followed.

    Example:
        ``only("/shop.v1.Orders/Create", validate(check_order))``
    """
    return _Validate(checks)


class _Validate:
    def __init__(self, checks: tuple[Check, ...]) -> None:
        self._checks = checks

    def bind(self, operation: AnyOperation) -> Middleware:
        checks: tuple[object, ...] = self._checks
        for check in checks:
            if isinstance(check, Prepared):
                check.prepare(operation.request)
        return self

    async def __call__(self, request: Any, call: Call, next: Handler) -> Any:
        if call.rejected is None:
            streamed = isinstance(request, Messages)
            request = cast("Messages[Any]", request).map(self._checked) if streamed else self._checked(request)
        return await next(request, call)

    def _checked(self, message: Any) -> Any:
        found = [violation for check in self._checks for violation in _violations(check, message)]
        if found:
            raise _refusal(found)
        return message


def _violations(check: Check, message: Any) -> list[Violation]:
    try:
        return list(check(message) or ())
    except ValueError as failure:
        return [Violation("", str(failure))]


def _refusal(found: list[Violation]) -> BadRequest:
    by_field: dict[str, str] = {}
    for field, message, _ in found:
        by_field[field] = f"{by_field[field]}; {message}" if field in by_field else message
    violations = [
        details.BadRequest.FieldViolation(field=field, description=message, reason=rule)
        for field, message, rule in found
    ]
    return BadRequest(
        "; ".join(f"{field}: {message}" if field else message for field, message in by_field.items()),
        reason="VALIDATOR",
        metadata={field: message for field, message in by_field.items() if field},
        details=[details.BadRequest(field_violations=violations)],
    )
