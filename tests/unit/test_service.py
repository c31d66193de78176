"""Services and stubs, as generated code stands on them."""

from __future__ import annotations

from typing import Any, cast

import pytest

from kratos.errors import NotFound, Unimplemented
from kratos.operation import Unary
from kratos.service import CONTRACT, Invoker, Service, Stub, require, unimplemented


class UserNotFound(NotFound):
    """The service's own."""

    reason = "USER_NOT_FOUND"


class RemoteUserNotFound(NotFound):
    """The caller's own for the same reason."""

    reason = "USER_NOT_FOUND"


class OtherMissing(NotFound):
    """Of another service."""

    reason = "OTHER_MISSING"


class Client(Stub):
    """As generated."""

    __slots__ = ()
    __errors__ = (UserNotFound,)


INVOKER = cast("Invoker", object())


def test_known_contracts_pass() -> None:
    """Code generated for this contract or an older one is fine."""
    for contract in range(CONTRACT + 1):
        require(contract, "shop.proto")


def test_contracts_from_the_future_are_refused() -> None:
    """Newer code is refused on import, with what to do about it."""
    with pytest.raises(ImportError, match=r"shop\.proto follows contract \d+.*upgrade kratos-py"):
        require(CONTRACT + 1, "shop.proto")


def test_unimplemented_names_the_operation() -> None:
    """A method nobody wrote answers 501 and says which."""
    error = unimplemented(Unary("/shop.v1.Orders/Get", int, str), "request", "call")
    assert isinstance(error, Unimplemented)
    assert (error.code, error.reason) == (501, "UNIMPLEMENTED")
    assert "/shop.v1.Orders/Get" in error.message


def test_stub_knows_errors() -> None:
    """A client recognises its package's errors and those it is given, which come first."""
    plain, more = cast("Any", Client(INVOKER)), cast("Any", Client(INVOKER, errors=(OtherMissing, RemoteUserNotFound)))
    assert plain._invoker is INVOKER
    assert plain._known == {"USER_NOT_FOUND": UserNotFound}
    assert more._known == {"OTHER_MISSING": OtherMissing, "USER_NOT_FOUND": RemoteUserNotFound}


def test_a_bare_service_has_nothing() -> None:
    """The bases offer no operation and no error of their own."""
    assert (Service.__operations__, Service.__errors__, Stub.__errors__) == ((), (), ())
