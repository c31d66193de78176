"""The client under test: ``python -m interop.connect.calling``.

It is told on standard input which calls to make, makes each as it comes, and says on standard output what came of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from protobuf import Oneof

from interop.connect import wire
from interop.connect.gen.connectrpc.conformance.v1.client_compat_pb import (
    ClientCompatRequest,
    ClientCompatResponse,
    ClientErrorResult,
    ClientResponseResult,
)
from interop.connect.gen.connectrpc.conformance.v1.config_pb import Code, Compression, StreamType
from interop.connect.gen.connectrpc.conformance.v1.service_kratos import ConformanceServiceClient
from interop.connect.gen.connectrpc.conformance.v1.service_pb import (
    BidiStreamRequest,
    ClientStreamRequest,
    ConformancePayload,
    IdempotentUnaryRequest,
    ServerStreamRequest,
    UnaryRequest,
    UnimplementedRequest,
)
from interop.connect.gen.connectrpc.conformance.v1.service_pb import Error as Told
from kratos.call import Reply
from kratos.codec.messages import pack
from kratos.errors import Error
from kratos.metadata import Metadata
from kratos.transport.grpc import GRPCClient, Limits

SECONDS = 5.0
"""How long a call may take that nobody ends: what never ends is a failure, and the suite goes on."""


async def main() -> None:
    """Makes the calls, and ends when all that were asked for are done."""
    async with asyncio.TaskGroup() as calls:
        while (told := await asyncio.to_thread(wire.read, ClientCompatRequest)) is not None:
            calls.create_task(_answered(told))


async def _answered(told: ClientCompatRequest) -> None:
    reply = ClientCompatResponse(test_name=told.test_name)
    try:
        # A connection for each call: after one reply with an unknown encoding, grpcio's core refuses others on it.
        with wire.Files() as files:
            async with GRPCClient(f"{told.host}:{told.port}", timeout=None, **_options(told, files)) as connection:
                result = await _Made(told, ConformanceServiceClient(connection)).result()
        reply.result = Oneof(field="response", value=result)
    except Exception as failure:  # of this program; the suite shows it
        reply.result = Oneof(field="error", value=ClientErrorResult(message=repr(failure)))
    wire.write(reply)


def _options(told: ClientCompatRequest, files: wire.Files) -> dict[str, Any]:
    gzip = told.compression == Compression.GZIP
    options: dict[str, Any] = {"compress_over": -1 if gzip else None}  # empty messages too
    if told.message_receive_limit:
        options["limits"] = Limits(max_message=told.message_receive_limit)
    if told.server_tls_cert:
        options["tls"] = files.tls(told.client_tls_creds, told.server_tls_cert)
    return options


class _Made:
    """One call that the suite asks for."""

    def __init__(self, told: ClientCompatRequest, client: ConformanceServiceClient) -> None:
        self._told = told
        self._client = client
        self._result = ClientResponseResult(num_unsent_requests=len(told.request_messages))
        self._reply = Reply()
        self._options: dict[str, Any] = {
            "headers": wire.add(told.request_headers, Metadata()),
            "reply": self._reply,
        }
        if told.has_field("timeout_ms"):
            self._options["timeout"] = told.timeout_ms / 1000
        self._call: asyncio.Task[None] | None = None

    async def result(self) -> ClientResponseResult:
        """Makes the call in a task of its own, so that it can be cancelled as callers do; returns what came of it."""
        methods: dict[str, Callable[[], Awaitable[None]]] = {
            "Unary": lambda: self._unary(self._client.unary, UnaryRequest),
            "IdempotentUnary": lambda: self._unary(self._client.idempotent_unary, IdempotentUnaryRequest),
            "Unimplemented": lambda: self._unary(self._client.unimplemented, UnimplementedRequest),
            "ServerStream": self._server_stream,
            "ClientStream": self._client_stream,
            "BidiStream": self._bidi_stream,
        }
        assert self._told.raw_request is None
        result = self._result
        self._call = asyncio.ensure_future(methods[str(self._told.method)]())
        try:
            async with asyncio.timeout(SECONDS):
                await self._call
        except Error as error:
            details = [each if hasattr(each, "type_url") else pack(each) for each in error.details]
            result.error = Told(code=Code(error.grpc_code), message=error.message, details=details)
        except asyncio.CancelledError:
            result.error = Told(code=Code.CANCELED)
        result.response_headers = wire.told(self._reply.headers)
        result.response_trailers = wire.told(self._reply.trailers)
        return result

    async def _unary(self, method: Callable[..., Awaitable[Any]], type_: Any) -> None:
        (request,) = self._requests(type_)
        await self._pause()
        self._sent_all()
        reply = await method(request, **self._options)
        self._received(reply)

    async def _server_stream(self) -> None:
        (request,) = self._requests(ServerStreamRequest)
        await self._pause()
        self._sent_all()
        async with self._client.server_stream(request, **self._options) as replies:
            async for reply in replies:
                self._received(reply)

    async def _client_stream(self) -> None:
        async with self._client.client_stream(**self._options) as stream:
            for request in self._requests(ClientStreamRequest):
                await self._send(stream, request)
            await self._cancel_before_done()
            self._sent_all()
            self._received(await stream.reply())

    async def _bidi_stream(self) -> None:
        duplex = self._told.stream_type == StreamType.FULL_DUPLEX_BIDI_STREAM
        async with self._client.bidi_stream(**self._options) as stream:
            replies = aiter(stream)
            for request in self._requests(BidiStreamRequest):
                await self._send(stream, request)
                if duplex:
                    self._received(await anext(replies))
            await self._cancel_before_done()
            await stream.done()
            self._sent_all()
            async for reply in replies:
                self._received(reply)

    def _requests(self, type_: Any) -> list[Any]:
        return [type_.from_binary(packed.value) for packed in self._told.request_messages]

    async def _pause(self) -> None:
        await asyncio.sleep(self._told.request_delay_ms / 1000)

    async def _send(self, stream: Any, request: Any) -> None:
        await self._pause()
        await stream.send(request)
        self._result.num_unsent_requests -= 1

    def _received(self, reply: Any) -> None:
        self._result.payloads.append(getattr(reply, "payload", None) or ConformancePayload())
        if self._timing("after_num_responses") == len(self._result.payloads):
            self._cancel()

    def _sent_all(self) -> None:
        self._result.num_unsent_requests = 0
        delay = self._timing("after_close_send_ms")
        if delay is not None:
            asyncio.get_running_loop().call_later(delay / 1000, self._cancel)

    async def _cancel_before_done(self) -> None:
        """Cancels the call in place of ending its requests, if that is asked for."""
        if self._timing("before_close_send") is not None:
            self._cancel()
            await asyncio.sleep(0)  # raises

    def _timing(self, field: str) -> Any:
        """Returns when to cancel, in one of the suite's three terms; None for not in this one."""
        if self._told.cancel is None:
            return None
        choice = self._told.cancel.cancel_timing or Oneof(field="after_close_send_ms", value=0)
        return choice.value if choice.field == field else None

    def _cancel(self) -> None:
        assert self._call is not None
        self._call.cancel()


if __name__ == "__main__":
    asyncio.run(main())
