"""What an HTTP server serves beside the contract, as operations: the law is the same for all that is called.

``raw`` has single routes and ``mount`` whole applications; the words they share stand here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias

from kratos.call import Call
from kratos.operation import Operation, ServerStream, Unary
from kratos.service import Service
from kratos.wire.google.api.httpbody_pb import HttpBody

__all__ = ["Extra", "Mounted", "Raw", "RawOperation", "offered"]

RawOperation: TypeAlias = Operation[HttpBody, HttpBody]
"""An operation on raw bodies."""


class _Beside(RawOperation):
    """An operation of no service. Its name is ``HTTP``, a verb and a path."""

    __slots__ = ()

    @property
    def service(self) -> str:
        """``HTTP``."""
        return "HTTP"

    @property
    def method(self) -> str:
        """Verb and path."""
        return self.name.partition(" ")[2]


class Raw(_Beside, Unary[HttpBody, HttpBody]):
    """A route of its own, ``HTTP GET /x``."""

    __slots__ = ()


class Mounted(_Beside, ServerStream[HttpBody, HttpBody]):
    """An application below a prefix, ``HTTP * /x``."""

    __slots__ = ()


class Extra(Protocol):
    """Something to serve. Immutable, and made before there is an event loop."""

    @property
    def operation(self) -> RawOperation:
        """What stands for it in the chain, in routing and in the logs. Raises nothing."""
        ...

    @property
    def handler(self) -> Callable[[Any, Call], Any]:
        """What carries it out, in the shape that its kind of operation has. Raises nothing."""
        ...


def offered(extras: Iterable[Extra]) -> Service:
    """Returns the service that a dispatcher takes for them."""
    return _Offer(tuple(extras))


class _Offer(Service):
    """Methods whose names nobody has to know; each server has its own ones.

    Args:
        extras: What they do.
    """

    def __init__(self, extras: Sequence[Extra]) -> None:
        named = {f"extra_{number}": extra for number, extra in enumerate(extras)}
        vars(self)["__operations__"] = tuple((name, extra.operation) for name, extra in named.items())
        vars(self).update({name: extra.handler for name, extra in named.items()})
