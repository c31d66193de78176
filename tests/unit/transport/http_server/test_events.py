"""Streamed replies over plain HTTP: events and lines, on real sockets."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from unit.transport.http_server.support import SECRET, deny, events, running, texts, until

from kratos.transport.http.limits import Limits

LATE = {"code": 403, "reason": "LATE", "message": "no", "metadata": {"k": "v"}}


@pytest.mark.parametrize("accept", [None, "text/event-stream", "*/*", "application/protojson", "application/json"])
async def test_events(accept: str | None) -> None:
    """SSE for who asks for it and for who does not say; headers set before the first message are in the head."""
    async with running() as it:
        answer = await it.ask("/watch/a?count=3", **({} if accept is None else {"accept": accept}))
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["x-room"] == "blue"
        assert texts(events(answer.body)) == [("message", "a", 0), ("message", "a", 1), ("message", "a", 2)]


async def test_form_of_an_event() -> None:
    """An event is written as Go Kratos writes it."""
    async with running() as it:
        answer = await it.ask("/watch/a?count=1")
        data = json.dumps({"room": "", "text": "a", "count": 0, "tags": []}, separators=(",", ":"))
        assert answer.body.decode().replace(" ", "") == f"event: message\ndata: {data}\n\n".replace(" ", "")


async def test_body() -> None:
    """A server stream takes a body like any other call."""
    async with running() as it:
        body = b'{"text": "b", "count": 2}'
        answer = await it.ask("/watch", "POST", body, content_type="application/json")
        assert texts(events(answer.body)) == [("message", "b", 0), ("message", "b", 1)]


async def test_no_messages() -> None:
    """A stream without messages still has the head of one."""
    async with running() as it:
        answer = await it.ask("/watch/a")
        assert (answer.status, answer.headers["content-type"], answer.body) == (200, "text/event-stream", b"")


async def test_lines() -> None:
    """NDJSON for who asks for it: a message per line."""
    async with running() as it:
        answer = await it.ask("/watch/a?count=2", accept="application/x-ndjson")
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert [json.loads(line)["count"] for line in answer.body.splitlines()] == [0, 1]


async def test_failure_after_the_start() -> None:
    """A failure after the first message is an event, or a last line."""
    async with running() as it:
        answer = await it.ask("/watch/late?count=1")
        assert answer.status == 200
        assert events(answer.body)[1] == ("error", LATE)
        answer = await it.ask("/watch/late?count=1", accept="application/x-ndjson")
        assert json.loads(answer.body.splitlines()[-1]) == {"error": LATE}


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
async def test_failure_before_the_start(accept: str) -> None:
    """A failure before the first message is an ordinary error."""
    async with running() as it:
        answer = await it.ask("/watch/first-late", accept=accept)
        assert (answer.status, answer.headers["content-type"], answer.json) == (403, "application/json", LATE)


async def test_requests_that_cannot_be_read() -> None:
    """A bad parameter is a 400 before anything else."""
    async with running() as it:
        answer = await it.ask("/watch/a?count=many")
        assert (answer.status, answer.reason) == (400, "CODEC")
        answer = await it.ask("/watch/a", x_request_timeout="soon")
        assert (answer.status, answer.reason) == (400, "BAD_TIMEOUT")


@pytest.mark.parametrize("text", ["crash", "wrong"])
@pytest.mark.parametrize("count", [0, 1])
async def test_crashes_are_concealed(text: str, count: int) -> None:
    """A crash, and a reply of the wrong type, show an id and no more, before and after the start."""
    async with running() as it:
        answer = await it.ask(f"/watch/{text}?count={count}")
        assert SECRET.encode() not in answer.body
        assert b"no message" not in answer.body
        error = events(answer.body)[-1][1] if answer.status == 200 else answer.json
        assert (error["code"], error["reason"]) == (500, "UNKNOWN")
        assert error["metadata"]["error_id"]


async def test_timeout_of_the_client() -> None:
    """A client may limit a stream; the usual limit of the server is for unary calls only."""
    async with running(timeout=0.05) as it:
        answer = await it.ask("/watch/hang?count=1", x_request_timeout="200m")
        assert events(answer.body)[-1][1]["reason"] == "DEADLINE_EXCEEDED"
        assert events(answer.body)[-1][1]["metadata"] == {"limit": "client"}


async def test_heartbeat() -> None:
    """Silence is broken by comments, which begin the stream if nothing else has."""
    async with running(heartbeat=0.1) as it, await it.raw() as raw:
        await raw.request("/watch/hang")
        assert (await raw.head()).status == 200
        assert [await raw.chunk(), await raw.chunk()] == [b":\n", b":\n"]
        it.service.go.set()
        assert b"".join([part async for part in _rest(raw)]).strip(b":\n") == b""


async def test_silence_of_lines() -> None:
    """Lines have no comments: after silence only the head goes out."""
    async with running(heartbeat=0.1) as it, await it.raw() as raw:
        await raw.request("/watch/hang", accept="application/x-ndjson")
        assert (await raw.head()).status == 200
        await asyncio.sleep(0.3)
        it.service.go.set()
        assert await raw.chunk() == b""


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
async def test_disconnect(accept: str) -> None:
    """The handler of a client that has gone is cancelled, between two messages and before the first."""
    for count in (0, 1):
        async with running() as it:
            raw = await it.raw()
            await raw.request(f"/watch/hang?count={count}", accept=accept)
            await asyncio.wait_for(it.service.working.wait(), 2)
            raw.reset()
            await asyncio.wait_for(it.service.cancelled.wait(), 2)


async def test_slow_reader() -> None:
    """A reader that does not read stops the handler after what the buffers hold."""
    async with running() as it, await it.raw() as raw:
        raw.reader._limit = 1  # stops reading from the socket  # type: ignore[attr-defined]
        await raw.request("/watch/flood?count=100000")
        await until(lambda: it.service.sent > 0)
        sent = -1
        while sent != it.service.sent:
            sent = it.service.sent
            await asyncio.sleep(0.3)
        assert sent < 3000  # of 100000; what is on its way are the kernel's buffers, a few megabytes at most
        raw.reset()


async def test_unary_is_not_a_stream() -> None:
    """HEAD is not for streams, other methods are not allowed; OPTIONS says so."""
    async with running() as it:
        for method, status in (("HEAD", 405), ("DELETE", 405), ("OPTIONS", 204)):
            answer = await it.ask("/watch/a", method)
            assert (answer.status, answer.headers["allow"]) == (status, "GET, OPTIONS")


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson", "*/*"])
async def test_deny_all(accept: str) -> None:
    """A middleware that refuses everybody is asked, and believed."""
    async with running(deny) as it:
        answer = await it.ask("/watch/a?count=3", accept=accept)
        assert (answer.status, answer.reason) == (401, "NO_TOKEN")
        assert it.service.calls == []


async def test_judged_by_aiohttp() -> None:
    """A foreign client reads message by message, and again on the same connection."""
    async with running() as it, aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.get(f"{it.url}/watch/a?count=100", headers={"accept": "text/event-stream"}) as response:
                assert response.headers["content-type"] == "text/event-stream"
                assert len(events(await response.read())) == 100


async def test_fields() -> None:
    """With ``response_body`` each event is one field, an empty one where it is unset."""
    async with running() as it:
        answer = await it.ask("/boxes/b/watch?item.text=x")
        assert [data for _, data in events(answer.body)] == [{"text": "x", "number": "0"}, {"text": "", "number": "0"}]


async def test_stop() -> None:
    """When time to stop is up, an open stream ends with an error that says why."""
    async with running(stop=0.3) as it:
        raw = await it.raw()
        await raw.request("/watch/hang?count=1")
        await asyncio.wait_for(it.service.working.wait(), 2)
        late = await it.raw()
        await late.request("/watch/hang")
        await until(lambda: len(it.service.calls) == 2)
    async with raw, late:
        ended = events((await raw.answer()).body)
        assert ended[-1][0] == "error"
        assert (ended[-1][1]["code"], ended[-1][1]["reason"]) == (503, "SERVER_STOPPING")
        answer = await late.answer()
        assert (answer.status, answer.reason) == (503, "SERVER_STOPPING")


async def test_limit_of_the_body() -> None:
    """Streams have the limit of the body too."""
    async with running(limits=Limits(max_body=10)) as it:
        answer = await it.ask("/watch", "POST", b'{"text": "0123456789"}', content_type="application/json")
        assert (answer.status, answer.reason) == (413, "BODY_TOO_LARGE")


async def _rest(raw):  # type: ignore[no-untyped-def]
    while part := await raw.chunk():
        yield part
