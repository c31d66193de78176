"""What a client may take, and what happens to malformed requests: raw bytes on real sockets."""

from __future__ import annotations

import asyncio
import http.client
from typing import Any

import pytest
from unit.transport.http_server.support import Raw, Running, running, until

from kratos.transport.http.limits import Limits

pytestmark = pytest.mark.usefixtures("engine")  # over both fronts, with the same answers

HEAD = "GET /echo/a HTTP/1.1\r\nHost: x\r\n"


async def refused(raw: Raw, status: int, reason: str) -> None:
    """Asserts a Kratos error and the end of the connection."""
    answer = await raw.answer()
    assert (answer.status, answer.reason) == (status, reason)
    assert answer.json["code"] == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["connection"] == "close"
    assert await raw.ended()


async def alive(it: Running) -> None:
    """Asserts that the server still answers."""
    assert (await it.ask("/echo/a")).status == 200


@pytest.mark.parametrize(
    "sent",
    [
        "nonsense\r\n\r\n",
        "GET\r\n\r\n",
        "GET /echo/a HTTP/9.9\r\n\r\n",
        HEAD + "no colon\r\n\r\n",
        HEAD + "a b: c\r\n\r\n",
        HEAD + "content-length: many\r\n\r\n",
        HEAD + "content-length: -1\r\n\r\n",
        HEAD + "content-length: 1\r\ncontent-length: 2\r\n\r\nab",
        HEAD + "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /echo/a HTTP/1.1\r\n\r\n",
        HEAD + "host: y\r\n\r\n",
        "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /\xe9 HTTP/1.1\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_malformed(sent: str) -> None:
    """What is no request is a 400."""
    async with running() as it, await it.raw() as raw:
        await raw.send(sent)
        await refused(raw, 400, "BAD_REQUEST")
        await alive(it)


async def test_malformed_body() -> None:
    """A body whose framing breaks is a 400, for a request that has begun."""
    async with running() as it, await it.raw() as raw:
        await raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await asyncio.sleep(0.1)
        await raw.send("zz\r\n")
        await refused(raw, 400, "BAD_REQUEST")
        assert it.service.calls == []


async def test_url() -> None:
    """A long URL is a 414, whether it comes at once or in pieces."""
    async with running(limits=Limits(max_url_bytes=100)) as it:
        async with await it.raw() as raw:
            await raw.send("GET /" + "a" * 101)
            await refused(raw, 414, "URL_TOO_LONG")
        async with await it.raw() as raw:
            for _ in range(11):
                await raw.send("GET /" if _ == 0 else "a" * 10)
                await asyncio.sleep(0.01)
            await refused(raw, 414, "URL_TOO_LONG")
        assert (await it.ask("/echo/" + "a" * 90)).status == 200


async def test_number_of_headers() -> None:
    """Too many headers are a 431."""
    async with running(limits=Limits(max_headers=10)) as it, await it.raw() as raw:
        await raw.send(HEAD + "".join(f"x-{number}: 1\r\n" for number in range(9)) + "\r\n")
        assert (await raw.answer()).status == 200
        await raw.send(HEAD + "".join(f"x-{number}: 1\r\n" for number in range(10)) + "\r\n")
        await refused(raw, 431, "TOO_MANY_HEADERS")


async def test_bytes_of_headers() -> None:
    """Large headers are a 431."""
    async with running(limits=Limits(max_header_bytes=1000)) as it, await it.raw() as raw:
        await raw.send(HEAD + f"x: {'y' * 900}\r\n\r\n")
        assert (await raw.answer()).status == 200
        await raw.send(HEAD + f"x: {'y' * 500}\r\ny: {'y' * 500}\r\n\r\n")
        await refused(raw, 431, "HEADERS_TOO_LARGE")


async def test_header_without_end() -> None:
    """A header that never ends is a 431 before it fills the memory."""
    async with running() as it, await it.raw() as raw:
        await raw.send(HEAD + "x: ")
        with pytest.raises(ConnectionError):
            for _ in range(100):
                await raw.send("y" * 100_000)
                if not raw.reader.at_eof() and raw.reader._buffer:  # type: ignore[attr-defined]
                    answer = await raw.answer()
                    assert (answer.status, answer.reason) == (431, "HEADERS_TOO_LARGE")
                    raise ConnectionError
        await alive(it)


async def test_trailers() -> None:
    """Trailers do not become headers."""
    async with running() as it, await it.raw() as raw:
        head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        for _ in range(2):
            await raw.send(head + "2\r\n{}\r\n0\r\nx-md-admin: yes\r\n\r\n")
            assert (await raw.answer()).status == 200
            assert it.service.calls[-1].headers.get("x-md-admin") is None


async def test_trailer_without_end() -> None:
    """A trailer or an extension of a chunk that never ends is refused before it fills the memory."""
    for end in ("0\r\nx: ", "2;"):
        async with running() as it, await it.raw() as raw:
            await raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n" + end)
            for _ in range(10):
                await asyncio.sleep(0.05)
                await raw.send("y" * 60_000)
            assert (await raw.answer()).reason == "HEADERS_TOO_LARGE"


@pytest.mark.parametrize("kind", ["length", "chunked"])
async def test_body(kind: str) -> None:
    """A large body is a 413, before it is read where its length is known."""
    async with running(limits=Limits(max_body=1000)) as it, await it.raw() as raw:
        head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        await raw.send(
            head + ("Content-Length: 1001\r\n\r\n" if kind == "length" else "Transfer-Encoding: chunked\r\n\r\n")
        )
        if kind == "chunked":
            await raw.send("3e9\r\n" + "x" * 1001 + "\r\n")
        await refused(raw, 413, "BODY_TOO_LARGE")
        assert it.service.calls == []
        await alive(it)


async def test_body_judged_by_http_client() -> None:
    """A client that sends all of its large body before it looks gets to see the 413."""
    async with running() as it:

        def upload() -> tuple[int, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", it.port, timeout=5)
            connection.request("POST", "/echo", b"x" * (5 * 1024 * 1024), {"content-type": "application/json"})
            response = connection.getresponse()
            try:
                return response.status, response.read()
            finally:
                connection.close()

        status, body = await asyncio.to_thread(upload)
        assert status == 413
        assert b"BODY_TOO_LARGE" in body


async def test_body_after_the_answer() -> None:
    """What comes after an early answer is read on to keep the connection, up to a limit."""
    async with running(limits=Limits(max_body=100_000)) as it, await it.raw() as raw:
        await raw.request("/nowhere", "POST", b"x" * 90_000)
        assert (await raw.answer()).status == 404
        await raw.request("/echo/a")
        assert (await raw.answer()).status == 200
        await raw.send("POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert (await raw.answer()).status == 404
        for _ in range(3):
            await raw.send("ea60\r\n" + "x" * 60_000 + "\r\n")
        assert await raw.ended()


async def test_continue() -> None:
    """A client that asks first is told to go on, or gets its error instead."""
    async with running(limits=Limits(max_body=1000)) as it, await it.raw() as raw:
        head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
        await raw.send(head + "Content-Length: 2\r\n\r\n")
        assert (await raw.head()).status == 100
        await raw.send("{}")
        assert (await raw.answer()).status == 200
        await raw.send(head + "Content-Length: 2000\r\n\r\n")
        assert (await raw.answer()).status == 413


async def test_slow_headers() -> None:
    """Headers that take too long are a 408; a connection that never says anything is closed without a word."""
    async with running(limits=Limits(header_seconds=0.1)) as it, await it.raw() as raw, await it.raw() as silent:
        await raw.send(HEAD)
        await refused(raw, 408, "REQUEST_TIMEOUT")
        assert await silent.ended()


async def test_slow_body() -> None:
    """A body that makes no progress is a 408, and its request is over."""
    async with running(limits=Limits(body_seconds=0.1)) as it, await it.raw() as raw:
        await raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        await refused(raw, 408, "REQUEST_TIMEOUT")
        assert it.service.calls == []


async def test_idle() -> None:
    """A connection without requests is closed after a while, without a word; one at work is not."""
    limits = Limits(idle_seconds=0.1, header_seconds=0.1, body_seconds=0.1)
    async with running(limits=limits) as it, await it.raw() as raw:
        await raw.request("/echo/hang")
        await asyncio.sleep(1.3)
        it.service.go.set()
        assert (await raw.answer()).status == 200
        assert await raw.ended()


async def test_connections() -> None:
    """Too many connections are turned away with a 503."""
    async with running(limits=Limits(max_connections=2)) as it:
        async with await it.raw() as first, await it.raw() as second:
            for raw in (first, second):
                await raw.request("/echo/a")
                assert (await raw.answer()).status == 200
            async with await it.raw() as third:
                await third.request("/echo/a")
                await refused(third, 503, "TOO_MANY_CONNECTIONS")
        await asyncio.sleep(0.1)
        await alive(it)


async def test_pipelining() -> None:
    """Requests sent ahead are answered in order; what breaks among them is answered in its turn."""
    async with running() as it, await it.raw() as raw:
        request = "GET /echo/{} HTTP/1.1\r\nHost: x\r\n\r\n"
        await raw.send(request.format("hang") + request.format("b") + "nonsense\r\n\r\n")
        await asyncio.wait_for(it.service.working.wait(), 2)
        await asyncio.sleep(0.1)
        it.service.go.set()
        assert [(await raw.answer()).json["text"] for _ in range(2)] == ["hang", "b"]
        await refused(raw, 400, "BAD_REQUEST")


async def test_pipelined_body_breaks() -> None:
    """A request that breaks while it waits for its turn is refused after the one before it."""
    async with running() as it, await it.raw() as raw:
        await raw.send("GET /echo/hang HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(it.service.working.wait(), 2)
        await raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        await asyncio.sleep(0.1)
        it.service.go.set()
        assert (await raw.answer()).json["text"] == "hang"
        await refused(raw, 400, "BAD_REQUEST")


async def test_large_pipeline_does_not_grow() -> None:
    """What a client sends ahead of answers is not read without end."""
    async with running() as it, await it.raw() as raw:
        await raw.request("/echo/hang")
        await asyncio.wait_for(it.service.working.wait(), 2)

        async def flood() -> None:
            while True:
                await raw.request("/echo/a", "GET", b"x" * 60_000)

        flooding = asyncio.create_task(flood())
        await asyncio.sleep(0.5)
        assert not flooding.done()
        (connection,) = it.server._server._connections()  # type: ignore[union-attr]
        assert len(connection.pipeline) < 20  # type: ignore[union-attr]
        flooding.cancel()
        raw.reset()


@pytest.mark.parametrize("field", ["max_body", "max_headers", "idle_seconds", "max_connections"])
def test_limits_are_positive(field: str) -> None:
    """A limit that would let nothing through is refused."""
    values: dict[str, Any] = {field: 0}
    with pytest.raises(ValueError, match=field):
        Limits(**values)


async def test_lingering_ends() -> None:
    """A client that goes on sending after its last answer is cut off."""
    async with running(limits=Limits(max_body=10)) as it, await it.raw() as raw:
        await raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        assert (await raw.answer()).status == 413
        assert await raw.ended()
        await until(lambda: not it.server._server.server_state.connections, 4.5)  # type: ignore[union-attr]
