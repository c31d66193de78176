"""Unary calls on real sockets: bodies that are one field, methods, health, cancellation, stopping."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from fixtures.gen.fixture.streams.v1.streams_pb import Box, Item
from unit.transport.http_server.support import SECRET, Streams, deny, running, until

from kratos.call import AppInfo
from kratos.codec import DEFAULT_CODECS
from kratos.operation import Http, ServerStream, Unary
from kratos.service import Service
from kratos.transport.dispatch import Dispatcher
from kratos.transport.http import HTTPServer
from kratos.transport.http.edge import Edge

pytestmark = pytest.mark.usefixtures("engine")  # over both fronts, with the same answers


@pytest.mark.parametrize(
    ("field", "body", "reply"),
    [
        ("item", {"text": "a", "number": "5"}, {"text": "a", "number": "5"}),
        ("tags", ["a", "b"], ["a", "b"]),
        ("size", "9223372036854775807", "9223372036854775807"),
        ("size", 5, "5"),
        ("labels", {"a": 1}, {"a": 1}),
        ("items", [{"text": "a"}], [{"text": "a", "number": "0"}]),
    ],
)
async def test_body_is_a_field(field: str, body: Any, reply: Any) -> None:
    """A body fills the field it is for, whatever that is, and a reply's body is a field; path and query count too."""
    async with running() as it:
        target = f"/boxes/mine/{field}?tags=q" if field != "tags" else "/boxes/mine/tags?size=3"
        answer = await it.ask(target, "PUT", json.dumps(body).encode(), content_type="application/json")
        assert (answer.status, answer.json) == (200, reply)
        (box,) = it.service.seen
        assert box.name == "mine"
        assert (box.tags == ["q"]) if field != "tags" else (box.size == 3)


async def test_query_goes_before_the_body() -> None:
    """The query replaces what the body says of the same field."""
    async with running() as it:
        await it.ask("/boxes/b/item?item.text=q", "PUT", b'{"text": "b", "number": 3}', content_type="application/json")
        await it.ask("/boxes/b/tags?tags=q", "PUT", b'["a", "b"]', content_type="application/json")
        first, second = it.service.seen
        assert (first.item.text, first.item.number) == ("q", 3)
        assert second.tags == ["q"]


@pytest.mark.parametrize("field", ["item", "tags", "size", "labels"])
async def test_empty_body_of_a_field(field: str) -> None:
    """No body leaves the field alone; the reply has its zero."""
    async with running() as it:
        answer = await it.ask(f"/boxes/b/{field}", "PUT")
        zeros: dict[str, Any] = {"item": {"text": "", "number": "0"}, "tags": [], "size": "0", "labels": {}}
        assert (answer.status, answer.json) == (200, zeros[field])


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("size", b'1, "name": "evil"'),
        ("size", b"1}{"),
        ("tags", b'["a"], "size": 1'),
        ("size", b'"many"'),
        ("tags", b"{}"),
        ("items", b'[{"number": "x"}]'),
        ("item", b"[]"),
    ],
)
async def test_bad_body_of_a_field(field: str, body: bytes) -> None:
    """A field's body is one JSON value of its type, and cannot say anything of its neighbours."""
    async with running() as it:
        answer = await it.ask(f"/boxes/b/{field}", "PUT", body, content_type="application/json")
        assert (answer.status, answer.reason) == (400, "CODEC")
        assert it.service.seen == []


async def test_field_in_binary() -> None:
    """A message field may be binary in both directions; a scalar cannot come so, and goes back as JSON."""
    async with running() as it:
        wire = Item(text="a", number=7).to_binary()
        headers = {"content_type": "application/proto", "accept": "application/proto"}
        answer = await it.ask("/boxes/b/item", "PUT", wire, **headers)
        assert Item.from_binary(answer.body).number == 7
        answer = await it.ask("/boxes/b/size", "PUT", wire, **headers)
        assert answer.status == 415
        answer = await it.ask("/boxes/b/size?size=4", "PUT", accept="application/proto")
        assert (answer.headers["content-type"], answer.json) == ("application/json", "4")


@pytest.mark.parametrize(
    ("http", "message"),
    [
        (
            Http("PUT", "/x", body="nope"),
            "PUT /x of /t.T/Do: body names 'nope', which fixture.streams.v1.Box",
        ),
        (Http("PUT", "/x", response_body="nope"), "response_body names 'nope'"),
        (Http("PUT", "/x", body="item.text"), "body names 'item.text'"),
    ],
)
@pytest.mark.parametrize("kind", [Unary, ServerStream])
def test_unknown_fields_fail_at_build(http: Http, message: str, kind: Any) -> None:
    """A body for a field that is not there is an error at start-up that names method and field."""

    class Bad(Service):
        __operations__ = (("do", kind("/t.T/Do", Box, Box, http=(http,))),)

        if kind is Unary:

            async def do(self, request: Any, call: Any) -> Any: ...
        else:

            def do(self, request: Any, call: Any) -> Any: ...

    with pytest.raises(ValueError, match=message):
        Edge(Dispatcher([Bad()]), DEFAULT_CODECS)


async def test_head() -> None:
    """HEAD answers as GET without the body."""
    async with running() as it, await it.raw() as raw:
        await raw.request("/echo/a", "HEAD")
        head = await raw.answer(head_only=True)
        await raw.request("/echo/a")
        answer = await raw.answer()
        assert (head.status, head.headers["content-length"]) == (200, str(len(answer.body)))
        assert (await it.ask("/echo", "HEAD")).status == 405


async def test_methods() -> None:
    """What a path does not answer is a 405 that lists what it does; OPTIONS is answered with the list alone."""
    async with running() as it:
        answer = await it.ask("/echo/a", "DELETE")
        assert (answer.status, answer.reason) == (405, "METHOD_NOT_ALLOWED")
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
        answer = await it.ask("/echo/a", "OPTIONS")
        assert (answer.status, answer.headers["allow"], answer.body) == (204, "GET, HEAD, OPTIONS", b"")
        assert (await it.ask("/nowhere", "OPTIONS")).status == 404


async def test_health() -> None:
    """healthz is 200 while the server runs; readyz says what the app says."""
    async with running(deny) as it:
        assert (await it.ask("/healthz")).json == {"status": "ok"}
        assert (await it.ask("/readyz")).status == 200
        assert (await it.ask("/readyz", "HEAD")).status == 200
        it.info.readiness.set(False)
        assert (await it.ask("/readyz")).status == 503
        assert (await it.ask("/healthz")).status == 200
        assert (await it.ask("/healthz", "POST")).status == 404


async def test_deny_all() -> None:
    """A middleware that refuses everybody is asked, and believed, for requests that cannot be read too."""
    async with running(deny) as it:
        for target in ("/echo/a", "/echo/a?count=x"):
            answer = await it.ask(target)
            assert (answer.status, answer.reason) == (401, "NO_TOKEN")
        answer = await it.ask("/boxes/b/item", "PUT", b"{}", content_type="application/json")
        assert answer.status == 401
        assert it.service.calls == it.service.seen == []


@pytest.mark.parametrize("target", ["/echo/wrong", "/echo/overflow", "/echo/crash", "/echo/status?count=42"])
async def test_crashes_are_concealed(target: str, caplog: pytest.LogCaptureFixture) -> None:
    """A crash and a reply that cannot be written are a 500 with an id, which the log explains."""
    async with running() as it:
        answer = await it.ask(target)
        assert (answer.status, answer.reason) == (500, "UNKNOWN")
        assert SECRET.encode() not in answer.body
        assert answer.json["message"] == "internal error"
        assert answer.json["metadata"]["error_id"] in caplog.text
        assert (await it.ask("/echo/a")).status == 200


@pytest.mark.parametrize("status", [204, 304])
async def test_status_without_body(status: int) -> None:
    """Some statuses have no body, and the connection goes on."""
    async with running() as it, await it.raw() as raw:
        await raw.request(f"/echo/status?count={status}")
        answer = await raw.answer()
        assert (answer.status, "content-length" in answer.headers) == (status, False)
        await raw.request("/echo/a")
        assert (await raw.answer()).json["text"] == "a"


async def test_headers_cannot_break_the_response() -> None:
    """Headers of the handler that would break the framing are left out, and what may not be in a value is replaced."""
    async with running() as it:
        answer = await it.ask("/echo/headers")
        assert answer.json["text"] == "headers"
        assert answer.headers["x-bell"] == "ding "
        assert answer.headers["content-length"] == str(len(answer.body))
        assert not {"connection", "a:b", "server"} & answer.headers.keys()
        assert "date" in answer.headers


@pytest.mark.parametrize("body", [b"", b'{"text": "hang", "tags": ["' + b"x" * 200_000 + b'"]}'])
async def test_disconnect(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """The handler of a client that has gone is cancelled, after a large upload too, and nothing is logged."""
    async with running() as it:
        raw = await it.raw()
        if body:
            await raw.request("/echo", "POST", body, content_type="application/json")
        else:
            await raw.request("/echo/hang")
        await asyncio.wait_for(it.service.working.wait(), 2)
        begin = asyncio.get_running_loop().time()
        raw.reset()
        await asyncio.wait_for(it.service.cancelled.wait(), 2)
        assert asyncio.get_running_loop().time() - begin < 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_disconnect_while_sending() -> None:
    """A client that leaves before its request is complete never reaches the handler."""
    async with running() as it:
        raw = await it.raw()
        await raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        await asyncio.sleep(0.1)
        raw.reset()
        await asyncio.sleep(0.1)
        assert it.service.calls == []


async def test_stop() -> None:
    """Stopping closes idle connections, lets calls finish and says that the connection ends, then refuses."""
    async with running(stop=5) as it, await it.raw() as idle, await it.raw() as busy:
        await idle.request("/echo/a")
        assert (await idle.answer()).headers.get("connection") is None
        await busy.request("/echo/hang")
        await asyncio.wait_for(it.service.working.wait(), 2)
        stopping = asyncio.create_task(it.server.stop(5))
        assert await idle.ended()
        with pytest.raises(OSError):
            await it.raw()
        assert not stopping.done()
        it.service.go.set()
        answer = await busy.answer()
        assert (answer.json["text"], answer.headers["connection"]) == ("hang", "close")
        assert await busy.ended()
        await asyncio.wait_for(stopping, 2)
        await it.server.stop(5)


async def test_stop_waits_for_requests_on_their_way() -> None:
    """A request that has begun to arrive when stopping begins is answered."""
    async with running(stop=5) as it, await it.raw() as raw:
        await raw.send("GET /echo/a HTTP/1.1\r\nHost:")
        await asyncio.sleep(0.1)
        stopping = asyncio.create_task(it.server.stop(5))
        await asyncio.sleep(0.1)
        await raw.send(" x\r\n\r\n")
        answer = await raw.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        await asyncio.wait_for(stopping, 2)


async def test_stop_has_a_limit() -> None:
    """A call that does not finish in time is cancelled; its client is told to try elsewhere."""
    async with running(timeout=None) as it, await it.raw() as raw:
        await raw.request("/echo/hang")
        await asyncio.wait_for(it.service.working.wait(), 2)
        begin = asyncio.get_running_loop().time()
        await it.server.stop(0.3)
        assert asyncio.get_running_loop().time() - begin < 2.3
        assert it.service.cancelled.is_set()
        answer = await raw.answer()
        assert (answer.status, answer.reason) == (503, "SERVER_STOPPING")


async def test_stop_with_a_reader_that_does_not_read() -> None:
    """A client that does not read its stream does not keep the server from stopping."""
    async with running() as it, await it.raw() as raw:
        raw.reader._limit = 1  # type: ignore[attr-defined]
        await raw.request("/watch/flood?count=100000")
        await until(lambda: it.service.sent > 0)
        begin = asyncio.get_running_loop().time()
        await it.server.stop(0.3)
        assert asyncio.get_running_loop().time() - begin < 3.3
        raw.reset()


async def test_stop_without_start() -> None:
    """A server that never ran has nothing to stop."""
    server = HTTPServer("127.0.0.1:0")
    server.mount([Streams()], [], AppInfo())
    await server.stop()


async def test_start_again() -> None:
    """A server that was stopped can start again."""
    async with running() as it:
        await it.server.stop(1)
        await it.server.start()
        port = int(it.server.endpoint.rpartition(":")[2])
        it.port = port
        assert (await it.ask("/echo/a")).status == 200


def test_bad_heartbeat() -> None:
    """A heartbeat without time between the beats is refused."""
    with pytest.raises(ValueError, match="heartbeat"):
        HTTPServer("127.0.0.1:0", heartbeat=0)


async def test_upgrades_to_something_else() -> None:
    """An upgrade to another protocol is ignored, as HTTP says, and the request answered."""
    async with running() as it:
        answer = await it.ask("/echo/a", connection="Upgrade, HTTP2-Settings", upgrade="h2c", http2_settings="AAMAAABk")
        assert (answer.status, answer.json["text"]) == (200, "a")
