"""Our side of gRPC's test contract: a server that judges may ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeAlias

from interop.contract import (
    EchoStatus,
    Empty,
    JudgedService,
    Payload,
    ResponseParameters,
    SimpleRequest,
    SimpleResponse,
    StreamingInputCallRequest,
    StreamingInputCallResponse,
    StreamingOutputCallRequest,
    StreamingOutputCallResponse,
)
from kratos.call import Call
from kratos.errors import http_code, restore
from kratos.handler import Messages

INITIAL = "x-grpc-test-echo-initial"
"""A header that comes back as a header."""
TRAILING = "x-grpc-test-echo-trailing-bin"
"""A header that comes back as a trailer; bytes."""

_Asked: TypeAlias = StreamingOutputCallRequest
_Answer: TypeAlias = StreamingOutputCallResponse


class Judged(JudgedService):
    """See gRPC's descriptions of its test cases."""

    async def empty_call(self, request: Empty, call: Call) -> Empty:
        return Empty()

    async def unary_call(self, request: SimpleRequest, call: Call) -> SimpleResponse:
        _echo(call)
        _obey(request.response_status)
        return SimpleResponse(payload=_payload(request.response_size))

    async def streaming_output_call(self, request: _Asked, call: Call) -> AsyncIterator[_Answer]:
        async for reply in _replies(request.response_parameters):
            yield reply

    async def streaming_input_call(
        self, requests: Messages[StreamingInputCallRequest], call: Call
    ) -> StreamingInputCallResponse:
        size = 0
        async for request in requests:
            size += 0 if request.payload is None else len(request.payload.body)
        return StreamingInputCallResponse(aggregated_payload_size=size)

    async def full_duplex_call(self, requests: Messages[_Asked], call: Call) -> AsyncIterator[_Answer]:
        _echo(call)
        async for request in requests:
            _obey(request.response_status)
            async for reply in _replies(request.response_parameters):
                yield reply

    async def half_duplex_call(self, requests: Messages[_Asked], call: Call) -> AsyncIterator[_Answer]:
        for request in [request async for request in requests]:
            async for reply in _replies(request.response_parameters):
                yield reply


def _echo(call: Call) -> None:
    initial = call.headers.get(INITIAL)
    if initial is not None:
        call.reply.headers.set(INITIAL, initial)
    trailing = call.headers.get(TRAILING)
    if trailing is not None:
        call.reply.trailers.set(TRAILING, trailing)


def _obey(status: EchoStatus | None) -> None:
    if status is not None and status.code:
        raise restore(http_code(status.code), message=status.message, grpc=status.code)


def _payload(size: int) -> Payload:
    return Payload(body=bytes(size))


async def _replies(asked: Iterable[ResponseParameters]) -> AsyncIterator[_Answer]:
    for one in asked:
        await asyncio.sleep(one.interval_us / 1e6)
        yield StreamingOutputCallResponse(payload=_payload(one.size))
