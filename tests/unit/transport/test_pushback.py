"""When to try again: Retry-After over HTTP, RetryInfo over gRPC, in both directions, and as others have it."""

from __future__ import annotations

import asyncio
import copy
import math
import pickle
import time
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st
from roundtrip.service import Kinds

from kratos import App, GRPCServer, HTTPServer
from kratos.call import Call
from kratos.codec.messages import duration
from kratos.errors import Error, ServiceUnavailable
from kratos.metadata import Metadata
from kratos.testing import serve
from kratos.transport.grpc.status import from_status
from kratos.transport.http.problem import pushback, read_pushback
from kratos.wire.google.rpc.error_details_pb import RetryInfo


class Busy(Kinds):
    """Fails as it is told to."""

    def __init__(self, failure: Error, headers: dict[str, str] | None = None) -> None:
        super().__init__()
        self.failure = failure
        self.headers = headers or {}

    async def echo(self, request: Ping, call: Call) -> Pong:
        for name, value in self.headers.items():
            call.reply.headers.set(name, value)
        raise self.failure


async def caught(failure: Error, transport: Any, engine: Any = "grpcio") -> Error:
    async with serve(Busy(failure), transport=transport, engine=engine, client_timeout=30) as conn:
        with pytest.raises(ServiceUnavailable) as met:
            await KindsClient(conn).echo(Ping())
    return met.value


@pytest.mark.parametrize(
    ("transport", "engine"), [("memory", "grpcio"), ("http", "grpcio"), ("grpc", "grpcio"), ("grpc", "native")]
)
@pytest.mark.parametrize("wait", [None, 0.0, 2.0, -1.0])
async def test_it_travels(transport: str, engine: str, wait: float | None) -> None:
    """What the server says is what the client reads, whatever lies between."""
    failure = await caught(ServiceUnavailable("busy", reason="BUSY", retry_after=wait), transport, engine)
    assert (failure.reason, failure.retry_after) == ("BUSY", wait)


@pytest.mark.parametrize(("transport", "read"), [("http", 2.0), ("grpc", 1.25)])
async def test_parts_of_a_second(transport: str, read: float) -> None:
    """HTTP has whole seconds, and they are not fewer; gRPC has nanoseconds."""
    assert (await caught(ServiceUnavailable("busy", retry_after=1.25), transport)).retry_after == read


@pytest.mark.parametrize("transport", ["http", "grpc"])
async def test_a_detail_says_it_too(transport: str) -> None:
    """An error with a RetryInfo among its details, as gRPC's services have it."""
    detail = RetryInfo(retry_delay=duration(3.0))
    failure = ServiceUnavailable("busy", details=[detail])
    assert failure.retry_after == 3.0
    met = await caught(failure, transport)
    assert met.retry_after == 3.0
    if transport == "grpc":
        assert met.details == (detail,)
        again = await caught(met, transport)  # passed on, it is there once
        assert again.details == (detail,)


def test_details_that_say_nothing() -> None:
    """An empty RetryInfo, details of other kinds, and one that uses the word for something else."""
    other = SimpleNamespace(retry_delay=5)
    assert Error("no", details=[RetryInfo(), Ping(text="what?"), other]).retry_after is None


def test_it_is_part_of_the_error() -> None:
    """Copies have it."""
    for failure in (Error("no", retry_after=2.0), Error("no", details=[RetryInfo(retry_delay=duration(2.0))])):
        assert copy.copy(failure).retry_after == pickle.loads(pickle.dumps(failure)).retry_after == 2.0  # noqa: S301


async def request(url: str) -> list[str]:
    """Returns the head of a response, line by line, as any client would see it."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /kinds/echo/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    head = (await reader.read()).partition(b"\r\n\r\n")[0]
    writer.close()
    await writer.wait_closed()
    return [line.lower() for line in head.decode().splitlines()]


@pytest.mark.parametrize("engine", ["fast", "asgi"])
async def test_on_the_wire_of_http(engine: Any) -> None:
    """A plain Retry-After, once; what the handler has set itself stays."""
    for failure, headers, line in (
        (ServiceUnavailable("busy", retry_after=1.25), {}, "retry-after: 2"),
        (ServiceUnavailable("busy", retry_after=1.25), {"retry-after": "7"}, "retry-after: 7"),
        (ServiceUnavailable("busy", retry_after=-1), {}, "grpc-retry-pushback-ms: -1"),
        (ServiceUnavailable("busy"), {}, None),
    ):
        server = HTTPServer("127.0.0.1:0", engine=engine)
        async with App(name="busy", services=[Busy(failure, headers)], servers=[server], middleware=[]):
            head = await request(server.endpoint)
        found = [each for each in head if each.startswith(("retry-after", "grpc-retry"))]
        assert found == ([] if line is None else [line])


async def test_as_others_read_it() -> None:
    """Google's library finds a RetryInfo, in a status that it likes."""
    server = GRPCServer("127.0.0.1:0")
    failure = ServiceUnavailable("busy", reason="BUSY", retry_after=1.25)
    async with (
        App(name="busy", services=[Busy(failure)], servers=[server], middleware=[]),
        grpc.aio.insecure_channel(server.endpoint.removeprefix("grpc://")) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as met:
            await channel.unary_unary("/fixture.kinds.v1.Kinds/Echo")(b"")
    status = rpc_status.from_call(_Told(met.value))
    info, retry = status.details
    assert info.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)
    found = error_details_pb2.RetryInfo()
    assert retry.Unpack(found)
    assert found.retry_delay.ToNanoseconds() == 1_250_000_000


class _Told:
    """An error of grpc.aio, as grpc_status wants it."""

    def __init__(self, failure: grpc.aio.AioRpcError) -> None:
        self._failure = failure

    def code(self) -> Any:
        return self._failure.code()

    def details(self) -> Any:
        return self._failure.details()

    def trailing_metadata(self) -> Any:
        return tuple(self._failure.trailing_metadata())


@pytest.mark.parametrize(("text", "wait"), [("1500", 1.5), ("0", 0.0), ("-1", -1.0), ("soon", -1.0), ("9" * 20, -1.0)])
def test_the_trailer_of_grpc(text: str, wait: float) -> None:
    """Its proposal A6: milliseconds, less than zero for never; what is no number is never."""
    failure = from_status(14, "busy", Metadata({"grpc-retry-pushback-ms": text}), {})
    assert failure.retry_after == wait


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 120 "}, 120.0),
        ({"retry-after": "9" * 400}, 999_999_999.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0),
        ({"grpc-retry-pushback-ms": "-1"}, -1.0),
        ({"grpc-retry-pushback-ms": "-1", "retry-after": "3"}, -1.0),
    ],
)
def test_the_header_of_http(headers: dict[str, str], wait: float | None) -> None:
    """Seconds or a date, of any server."""
    assert read_pushback(headers) == wait


def test_dates() -> None:
    """A moment to come is as far away as it is, whatever zone it is told in."""
    for zone in ("GMT", "-0000", "+0000"):
        text = formatdate(time.time() + 60, usegmt=True).replace("GMT", zone)
        found = read_pushback({"retry-after": text})
        assert found is not None
        assert 0 < found <= 60


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ ?[A-Z+-]?\d*", fullmatch=True))
def test_any_header(text: str) -> None:
    """Nothing that a server may send breaks a client."""
    found = read_pushback({"retry-after": text})
    assert found is None or 0 <= found < math.inf


@given(st.floats(0, 1e300))
def test_what_is_written_is_read(seconds: float) -> None:
    """Rounded up to whole seconds, and cut where nobody waits so long."""
    name, value = pushback(seconds)
    assert name == b"retry-after"
    assert read_pushback({"retry-after": value.decode()}) == math.ceil(min(seconds, 1e8))
