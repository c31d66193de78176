"""The thin slice over real sockets, judged by http.client and by grpcio without our code."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest
from fixtures.gen.fixture.helloworld.v1.error_reason_errors import UserNotFound
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest
from google.rpc import error_details_pb2, status_pb2

from kratos import App, Call, GRPCServer, HTTPServer, Shutdown
from kratos.errors import ClientError

SAY_HELLO = "/fixture.helloworld.v1.Greeter/SayHello"


class Greeter(GreeterService):
    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.finish = asyncio.Event()

    async def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:
        self.calls.append(call)
        if request.name == "nobody":
            raise UserNotFound("who?", metadata={"name": request.name})
        if request.name == "crash":
            raise ValueError("secret-db-password")
        if request.name == "odd":
            raise ClientError("tea", code=418, reason="TEAPOT")
        if request.name == "slow":
            await self.finish.wait()
        if request.name == "polite":
            call.reply.headers.set("x-token-bin", "AAE")
            call.reply.headers.set("x-first", "1")
            call.reply.trailers.set("x-last", "2")
        return HelloReply(message=f"Hello {request.name}")


class Running:
    def __init__(self, app: App, service: Greeter) -> None:
        self.app = app
        self.service = service
        self.http, self.grpc = (int(url.rpartition(":")[2]) for url in app.info.endpoints)

    async def get(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        def ask() -> tuple[int, Any]:
            connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=5)
            try:
                connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
                response = connection.getresponse()
                data = response.read()
                return response.status, json.loads(data) if data else None
            finally:
                connection.close()

        return await asyncio.to_thread(ask)

    async def call(self, name: str, metadata: tuple[tuple[str, str | bytes], ...] = (), timeout: float = 5) -> Any:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.grpc}") as channel:
            method = channel.unary_unary(SAY_HELLO)
            return await method(HelloRequest(name=name).to_binary(), metadata=metadata, timeout=timeout)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    service = Greeter()
    app = App(
        name="hello",
        services=[service],
        servers=[HTTPServer("127.0.0.1:0"), GRPCServer("127.0.0.1:0")],
        shutdown=Shutdown(finish=2),
    )
    async with app:
        yield Running(app, service)


@pytest.fixture(autouse=True)
def quiet_poller(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """grpc.aio's poller complains in the log when one process uses several event loops, as tests do."""
    with caplog.at_level(logging.CRITICAL, logger="asyncio"):
        yield


async def test_http(running: Running) -> None:
    """GET and POST answer; the error keeps its reason."""
    assert await running.get("/helloworld/kratos") == (200, {"message": "Hello kratos"})
    body = b'{"name": "kratos"}'
    assert await running.get("/helloworld", "POST", body, content_type="application/json") == (
        200,
        {"message": "Hello kratos"},
    )
    assert await running.get("/helloworld/nobody") == (
        404,
        {"code": 404, "reason": "USER_NOT_FOUND", "message": "who?", "metadata": {"name": "nobody"}},
    )


async def test_http_body_limit(running: Running) -> None:
    """A body over the limit is a 413, whether its length is announced or not."""
    body = b'{"name": "' + b"x" * 5_000_000 + b'"}'
    status, reply = await running.get("/helloworld", "POST", body, content_type="application/json")
    assert (status, reply["reason"]) == (413, "BODY_TOO_LARGE")


async def test_grpc(running: Running) -> None:
    """grpcio calls us with nothing of ours."""
    assert HelloReply.from_binary(await running.call("kratos")).message == "Hello kratos"
    (call,) = running.service.calls
    assert call.kind == "grpc"
    assert call.peer.address.startswith("127.0.0.1:")
    assert call.limit == "client"


async def test_grpc_error(running: Running) -> None:
    """An error is a status with one ErrorInfo and the exact code in a trailer; google's own classes read it."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await running.call("nobody")
    error = failure.value
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "who?")
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert (status.code, status.message, len(status.details)) == (5, "who?", 1)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, dict(info.metadata), info.domain) == ("USER_NOT_FOUND", {"name": "nobody"}, "")
    assert trailers["x-kratos-code"] == "404"


async def test_grpc_unmapped_code(running: Running) -> None:
    """A code without a row keeps its family as status and itself in the trailer."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await running.call("odd")
    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert dict(failure.value.trailing_metadata() or ())["x-kratos-code"] == "418"


async def test_crash_is_concealed_on_both(running: Running) -> None:
    """Exception text reaches nobody."""
    status, reply = await running.get("/helloworld/crash")
    assert (status, reply["message"]) == (500, "internal error")
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await running.call("crash")
    assert (failure.value.code(), failure.value.details()) == (grpc.StatusCode.INTERNAL, "internal error")


async def test_grpc_metadata_both_ways(running: Running) -> None:
    """Request metadata, text and bytes, arrives; reply headers and trailers go back."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.grpc}") as channel:
        call = channel.unary_unary(SAY_HELLO)(
            HelloRequest(name="polite").to_binary(), metadata=(("x-a", "1"), ("x-a", "2"), ("x-b-bin", b"\x00\xff"))
        )
        await call
        initial = dict(await call.initial_metadata())
        trailing = dict(await call.trailing_metadata())
    headers = running.service.calls[0].headers
    assert headers.values("x-a") == ["1", "2"]
    assert headers.binary("x-b-bin") == b"\x00\xff"
    assert (initial["x-first"], initial["x-token-bin"], trailing["x-last"]) == ("1", b"\x00\x01", "2")


async def test_grpc_unreadable_request(running: Running) -> None:
    """Bytes that are no message are INVALID_ARGUMENT; a method nobody has is UNIMPLEMENTED."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.grpc}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await channel.unary_unary(SAY_HELLO)(b"\xff\xff")
        assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await channel.unary_unary("/fixture.helloworld.v1.Greeter/Nope")(b"")
        assert failure.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_stop_finishes_what_is_under_way() -> None:
    """Calls under way are answered before the app has stopped, on both transports."""
    service = Greeter()
    app = App(name="hello", services=[service], servers=[HTTPServer("127.0.0.1:0"), GRPCServer("127.0.0.1:0")])
    async with app:
        running = Running(app, service)
        calls = [asyncio.create_task(running.get("/helloworld/slow")), asyncio.create_task(running.call("slow"))]
        while len(service.calls) < 2:
            await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.3, service.finish.set)
    (status, reply), data = await asyncio.gather(*calls)
    assert (status, reply) == (200, {"message": "Hello slow"})
    assert HelloReply.from_binary(data).message == "Hello slow"


async def test_stop_cancels_what_does_not_finish() -> None:
    """A call that never ends does not keep the app from stopping."""
    service = Greeter()
    servers = [HTTPServer("127.0.0.1:0", timeout=None), GRPCServer("127.0.0.1:0", timeout=None)]
    app = App(name="hello", services=[service], servers=servers, shutdown=Shutdown(finish=1.0))
    async with app:
        running = Running(app, service)
        calls = [asyncio.create_task(running.get("/helloworld/slow")), asyncio.create_task(running.call("slow"))]
        while len(service.calls) < 2:
            await asyncio.sleep(0.01)
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, Exception) or result[0] >= 499 for result in results), results


@pytest.mark.parametrize("server", [HTTPServer, GRPCServer])
async def test_busy_port(server: Any) -> None:
    """A port that is taken is an error in words, and nothing is left running."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        app = App(name="hello", services=[Greeter()], servers=[HTTPServer("127.0.0.1:0"), server(f"127.0.0.1:{port}")])
        with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.1:{port}: process {os.getpid()} \("):
            async with app:
                pass


@pytest.mark.parametrize("server", [HTTPServer, GRPCServer])
async def test_start_before_mount(server: Any) -> None:
    """A server without an app says what is missing."""
    with pytest.raises(RuntimeError, match="mount"):
        await server("127.0.0.1:0").start()
    await server("127.0.0.1:0").stop()


@pytest.mark.parametrize("address", ["", "localhost", "localhost:x", "localhost:99999", "::1:80"])
def test_bad_address(address: str) -> None:
    """An address that is none is refused with an example."""
    with pytest.raises(ValueError, match="such as 127.0.0.1:8000"):
        HTTPServer(address)


async def test_replies_do_not_wait_for_acknowledgements(running: Running) -> None:
    """Nagle's algorithm is off on accepted connections: a small reply of two writes leaves at once."""
    listener = running.app.servers[0]._socket  # type: ignore[attr-defined]  # the server under test
    assert listener.proto == socket.IPPROTO_TCP
    reader, writer = await asyncio.open_connection("127.0.0.1", running.http)
    accepted = next(iter(running.app.servers[0]._server.server_state.connections))  # type: ignore[attr-defined]
    try:
        sock = accepted.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    finally:
        writer.close()
        await writer.wait_closed()
    del reader
