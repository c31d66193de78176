"""Our side of the contract: answers with what it saw, and fails as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from interop.contract import Failure, File, InteropClient, InteropService, Seen, Target, Thing
from kratos.call import Call
from kratos.errors import Error
from kratos.handler import Messages
from kratos.middleware import metadata
from kratos.transport.grpc import GRPCClient
from kratos.transport.http import HTTPClient
from kratos.wire.google.api.httpbody_pb import HttpBody


def seen(call: Call, thing: Thing | None = None, *, number: int = 0) -> Seen:
    """Returns what came with a call."""
    left = call.remaining()
    call.reply.headers.set("x-seen-rpc", call.operation.method)
    return Seen(
        rpc=call.operation.method,
        thing=thing,
        metadata={key: ",".join(call.metadata.values(key)) for key in call.metadata.keys()},  # noqa: SIM118 - pairs
        number=number,
        left=None if left is None else int(left * 1000),
    )


def failure(told: Failure) -> Error:
    """Returns the error that was asked for."""
    return Error(told.message, code=told.code, reason=told.reason, metadata=told.metadata)


class Interop(InteropService):
    """See the contract."""

    def __init__(self) -> None:
        self.hanging = 0
        self.cancelled = asyncio.Event()

    async def get(self, request: Thing, call: Call) -> Seen:
        call.reply.trailers.set("x-after", "done")
        return seen(call, request)

    async def list(self, request: Thing, call: Call) -> Seen:
        return seen(call, request)

    async def count(self, request: Thing, call: Call) -> Seen:
        return seen(call, request)

    async def nest(self, request: Thing, call: Call) -> Seen:
        return seen(call, request)

    async def perhaps(self, request: Thing, call: Call) -> Seen:
        return seen(call, request)

    async def deep(self, request: Thing, call: Call) -> Seen:
        return seen(call, request)

    async def shelf(self, request: Thing, call: Call) -> Seen:
        return seen(call, request)

    async def close(self, request: Thing, call: Call) -> Seen:
        return seen(call, request)

    async def create(self, request: Thing, call: Call) -> Seen:
        return seen(call, request)

    async def replace(self, request: Thing, call: Call) -> Seen:
        return seen(call, request)

    async def update(self, request: Thing, call: Call) -> Seen:
        return seen(call, request)

    async def delete(self, request: Thing, call: Call) -> Seen:
        return seen(call, request)

    async def purge(self, request: Thing, call: Call) -> Seen:
        return seen(call, request)

    async def probe(self, request: Thing, call: Call) -> Seen:
        call.reply.headers.set("x-seen-name", request.name)  # the reply to HEAD has nothing but headers
        return seen(call, request)

    async def part(self, request: Thing, call: Call) -> Thing:
        return request

    async def fail(self, request: Failure, call: Call) -> Seen:
        raise failure(request)

    async def hang(self, request: Thing, call: Call) -> Seen:
        self.hanging += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()
        raise AssertionError("nobody sets it")

    async def relay(self, request: Target, call: Call) -> Seen:
        kind = HTTPClient if request.transport == "http" else GRPCClient
        async with kind(request.address, middleware=[metadata({"x-md-local-from": "relay"})]) as conn:
            return await InteropClient(conn).get(Thing(name="relayed"))

    async def upload(self, request: File, call: Call) -> File:
        return request

    async def download(self, request: Thing, call: Call) -> HttpBody:
        return _content(request)

    async def extract(self, request: Thing, call: Call) -> File:
        return File(name=request.name, content=_content(request))

    async def swap(self, request: HttpBody, call: Call) -> HttpBody:
        return request

    async def pour(self, request: Thing, call: Call) -> AsyncIterator[HttpBody]:
        for word in request.words:
            yield HttpBody(content_type="text/plain", data=word.encode())

    async def fill(self, requests: Messages[HttpBody], call: Call) -> Seen:
        return seen(call, Thing(words=[body.data.decode() async for body in requests]))

    async def watch(self, request: Thing, call: Call) -> AsyncIterator[Seen]:
        call.reply.trailers.set("x-after", "done")
        async for reply in _many(request, call):
            yield reply

    async def follow(self, request: Thing, call: Call) -> AsyncIterator[Seen]:
        async for reply in _many(request, call):
            yield reply

    async def collect(self, requests: Messages[Thing], call: Call) -> Seen:
        return await _all(requests, call)

    async def gather(self, requests: Messages[Thing], call: Call) -> Seen:
        return await _all(requests, call)

    async def chat(self, requests: Messages[Thing], call: Call) -> AsyncIterator[Seen]:
        async for reply in _each(requests, call):
            yield reply

    async def talk(self, requests: Messages[Thing], call: Call) -> AsyncIterator[Seen]:
        async for reply in _each(requests, call):
            yield reply


def _content(request: Thing) -> HttpBody:
    choice = request.choice
    assert choice is None or choice.field == "text"
    return HttpBody(content_type="" if choice is None else str(choice.value), data=request.a_bytes)


async def _many(request: Thing, call: Call) -> AsyncIterator[Seen]:
    for number in range(request.count):
        yield seen(call, request, number=number)
    if request.failure is not None:
        raise failure(request.failure)


async def _all(requests: Messages[Thing], call: Call) -> Seen:
    things = []
    async for thing in requests:
        if thing.failure is not None:
            raise failure(thing.failure)
        things.append(thing)
    reply = seen(call)
    reply.things = things
    return reply


async def _each(requests: Messages[Thing], call: Call) -> AsyncIterator[Seen]:
    number = 0
    async for thing in requests:
        if thing.failure is not None:
            raise failure(thing.failure)
        yield seen(call, thing, number=number)
        number += 1
