"""The service of the suite: it answers as each request tells it to, and with what it has seen of the request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from interop.connect import wire
from interop.connect.gen.connectrpc.conformance.v1 import service_kratos
from interop.connect.gen.connectrpc.conformance.v1.service_pb import (
    BidiStreamRequest,
    BidiStreamResponse,
    ClientStreamRequest,
    ClientStreamResponse,
    ConformancePayload,
    IdempotentUnaryRequest,
    IdempotentUnaryResponse,
    ServerStreamRequest,
    ServerStreamResponse,
    StreamResponseDefinition,
    UnaryRequest,
    UnaryResponse,
    UnaryResponseDefinition,
)
from interop.connect.gen.connectrpc.conformance.v1.service_pb import Error as Told
from kratos.call import Call
from kratos.codec.messages import pack
from kratos.errors import Error
from kratos.handler import Messages


class Conformance(service_kratos.ConformanceService):
    """See the contract. ``Unimplemented`` is left out on purpose."""

    async def unary(self, request: UnaryRequest, call: Call) -> UnaryResponse:
        return UnaryResponse(payload=await _answer(request.response_definition, [request], call))

    async def idempotent_unary(self, request: IdempotentUnaryRequest, call: Call) -> IdempotentUnaryResponse:
        return IdempotentUnaryResponse(payload=await _answer(request.response_definition, [request], call))

    async def client_stream(self, requests: Messages[ClientStreamRequest], call: Call) -> ClientStreamResponse:
        received = [request async for request in requests]
        definition = received[0].response_definition if received else None
        return ClientStreamResponse(payload=await _answer(definition, received, call))

    async def server_stream(self, request: ServerStreamRequest, call: Call) -> AsyncIterator[ServerStreamResponse]:
        replies = _Replies(request.response_definition, call)
        async for payload in replies.all([request]):
            yield ServerStreamResponse(payload=payload)

    async def bidi_stream(self, requests: Messages[BidiStreamRequest], call: Call) -> AsyncIterator[BidiStreamResponse]:
        replies: _Replies | None = None
        received: list[BidiStreamRequest] = []
        duplex = False
        async for request in requests:
            received.append(request)
            if replies is None:
                duplex = request.full_duplex
                replies = _Replies(request.response_definition, call)
            if duplex:
                if not replies.left:
                    break
                yield BidiStreamResponse(payload=await replies.next(received))
                received = []
        if replies is not None:
            async for payload in replies.all(received):
                yield BidiStreamResponse(payload=payload)


class _Replies:
    """The replies of one stream, in order.

    Attributes:
        left: What they hold.
    """

    def __init__(self, definition: StreamResponseDefinition | None, call: Call) -> None:
        self._definition = definition or StreamResponseDefinition()
        self._call = call
        self._sent = 0
        self.left = list(self._definition.response_data)
        _announce(self._definition, call)

    async def next(self, requests: Sequence[Any]) -> ConformancePayload:
        """Returns the next reply; the first one tells everything of the requests, those after it only what came."""
        info = _info(requests, None if self._sent else self._call) if requests or not self._sent else None
        self._sent += 1
        await asyncio.sleep(self._definition.response_delay_ms / 1000)
        return ConformancePayload(data=self.left.pop(0), request_info=info)

    async def all(self, requests: Sequence[Any]) -> AsyncIterator[ConformancePayload]:
        """Returns what is left, then fails if that is asked for."""
        while self.left:
            yield await self.next(requests)
            requests = ()
        if self._definition.error is not None:
            raise _error(self._definition.error, None if self._sent else _info(requests, self._call))


async def _answer(
    definition: UnaryResponseDefinition | None, requests: Sequence[Any], call: Call
) -> ConformancePayload:
    info = _info(requests, call)
    payload = ConformancePayload(request_info=info)
    if definition is not None:
        _announce(definition, call)
        await asyncio.sleep(definition.response_delay_ms / 1000)
        choice = definition.response
        if choice is not None and choice.field == "error":
            raise _error(choice.value, info)
        if choice is not None:
            payload.data = choice.value
    return payload


def _announce(definition: UnaryResponseDefinition | StreamResponseDefinition, call: Call) -> None:
    wire.add(definition.response_headers, call.reply.headers)
    wire.add(definition.response_trailers, call.reply.trailers)


def _info(requests: Sequence[Any], call: Call | None) -> ConformancePayload.RequestInfo:
    info = ConformancePayload.RequestInfo(requests=[pack(request) for request in requests])
    if call is not None:
        left = call.remaining()
        info.request_headers = wire.told(call.headers)
        if left is not None:
            info.timeout_ms = int(left * 1000)
    return info


def _error(told: Told, info: ConformancePayload.RequestInfo | None) -> Error:
    further = [] if info is None else [info]
    return Error(told.message or "", grpc_code=int(told.code), details=[*told.details, *further])
