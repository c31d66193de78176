"""The catalogue at work: services that answer every operation of the contract with what they were asked, or nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fixtures.gen.catalog.v1.book_errors import Unreadable
from fixtures.gen.catalog.v1.catalog_kratos import BookService, ShelfService
from fixtures.gen.catalog.v1.catalog_pb import Counted, CountRequest

from kratos.call import Call
from kratos.codec import JsonCodec
from kratos.handler import Messages
from kratos.operation import AnyOperation
from kratos.service import Service

__all__ = ["Asked", "services"]

JSON = JsonCodec()

Asked = list[Any]
"""The messages that were asked, in the order they came."""


def services(asked: Asked | None = None) -> list[Service]:
    """Returns both services.

    Args:
        asked: Where to keep what they were asked.
    """
    shelves = type("Shelves", (_answering(ShelfService, asked),), {"count": _count, "talk": _talk, "sum": _sum})
    return [_answering(BookService, asked)(), shelves()]


def _answering(base: type[Service], asked: Asked | None) -> type[Service]:
    def unary(operation: AnyOperation) -> Any:
        async def method(self: object, request: Any, call: Call) -> Any:
            if asked is not None:
                asked.append(request)
            if operation.request is operation.reply:
                return _repeated(request, call)
            return _reply(operation, request)

        return method

    methods = {name: unary(operation) for name, operation in base.__operations__ if not operation.streams}
    return type(base.__name__, (base,), methods)


def _repeated(request: Any, call: Call) -> Any:
    """Returns the request, if a reply can say it.

    JSON has no words for some of what binary and forms say, nor for masks of names such as ``line_1``.
    """
    subtype = (call.headers.get("content-type") or "").partition("/")[2].partition(";")[0].strip().lower()
    try:
        JSON.encode(request)
    except ValueError as reason:
        if "FieldMask" in str(reason) or subtype in ("proto", "protobuf", "x-protobuf", "x-www-form-urlencoded"):
            raise Unreadable(str(reason)) from None
    return request


def _reply(operation: AnyOperation, request: Any) -> Any:
    """Returns an empty reply, but for its name: who follows it gets somewhere."""
    reply = operation.reply()
    for name, usual in (("id", "emma"), ("number", 1), ("path", "novels/emma")):
        if hasattr(reply, name):
            setattr(reply, name, getattr(request, name, None) or usual)
    return reply


async def _count(self: object, request: CountRequest, call: Call) -> AsyncIterator[Counted]:
    for number in range(request.to):
        yield Counted(number=number)


async def _talk(self: object, requests: Messages[Counted], call: Call) -> AsyncIterator[Counted]:
    async for request in requests:
        yield request


async def _sum(self: object, requests: Messages[Counted], call: Call) -> Counted:
    return Counted(number=sum([request.number async for request in requests]) % 2**31)
