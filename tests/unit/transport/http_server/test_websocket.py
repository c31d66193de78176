"""Streamed requests on WebSockets, judged by the websockets client and by raw sockets."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from fixtures.gen.fixture.streams.v1.streams_pb import Note
from unit.transport.http_server.support import SECRET, deny, running, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from kratos.call import Call
from kratos.errors import Forbidden
from kratos.handler import Handler
from kratos.transport.http.frames import END, ERROR_PREFIX, parse_error_text
from kratos.transport.http.limits import Limits

LATE = "error: code = 403 reason = LATE message = no metadata = map[k:v] cause = <nil>"
HANDSHAKE = (
    "GET /chat/blue HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def note(**fields: Any) -> str:
    return json.dumps(fields)


async def said(socket: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(socket.recv(), 2))


async def closed(socket: ClientConnection) -> tuple[int | None, str | None]:
    """Reads to the end and returns how it was closed."""
    await asyncio.wait_for(socket.wait_closed(), 2)
    return socket.close_code, socket.close_reason


async def refused(url: str, **headers: str) -> tuple[int, Any, Any]:
    with pytest.raises(InvalidStatus) as failure:
        async with connect(url, additional_headers={k.replace("_", "-"): v for k, v in headers.items()}):
            pass
    response = failure.value.response
    return response.status_code, json.loads(response.body or b"null"), response.headers


async def test_echo() -> None:
    """Messages go both ways as text frames, and the end of the requests ends the call well."""
    async with running() as it, connect(f"{it.ws}/chat/blue") as socket:
        for number in range(3):
            await socket.send(note(text="a", count=number))
            answer = await socket.recv()
            assert isinstance(answer, str)
            assert json.loads(answer) == {"room": "blue", "text": "a", "count": number, "tags": []}
        await socket.send(END)
        assert await closed(socket) == (1000, "")


async def test_binary_frames() -> None:
    """A message may come in a binary frame too."""
    async with running() as it, connect(f"{it.ws}/chat/blue") as socket:
        await socket.send(b'{"text": "a"}')
        assert (await said(socket))["text"] == "a"


async def test_one_reply() -> None:
    """A client stream is answered once all has been said."""
    async with running() as it, connect(f"{it.ws}/collect/blue", additional_headers={"x-room": "red"}) as socket:
        for text in ("a", "b", "c"):
            await socket.send(note(text=text))
        await socket.send(END)
        assert await said(socket) == {"room": "red", "text": "a b c", "count": 3, "tags": []}
        assert await closed(socket) == (1000, "")


async def test_no_messages() -> None:
    """Nothing said is fine, in both kinds."""
    async with running() as it:
        for path, replies in (("/collect/blue", 1), ("/chat/blue", 0)):
            async with connect(it.ws + path) as socket:
                await socket.send(END)
                assert len([message async for message in socket]) == replies
                assert await closed(socket) == (1000, "")


async def test_the_server_ends() -> None:
    """A handler that returns ends the call, whatever the client had still to say."""
    async with running() as it, connect(f"{it.ws}/chat/blue") as socket:
        await socket.send(note(text="bye"))
        assert await closed(socket) == (1000, "")


async def test_binding() -> None:
    """The path is bound onto every message, the query onto the first; both go before what the frame says."""
    async with running() as it, connect(f"{it.ws}/chat/blue?text=q&tags=t&level=0&nope=1") as socket:
        await socket.send(note(room="red", text="a", tags=["b", "c"], level=5))
        assert await said(socket) == {"room": "blue", "text": "q", "count": 0, "tags": ["t"], "level": 0}
        await socket.send(note(room="red", text="b", tags=["d"]))
        assert await said(socket) == {"room": "blue", "text": "b", "count": 0, "tags": ["d"]}


async def test_go_client_repeats_its_first_message() -> None:
    """A query that says what the first message says doubles no list and does not stick to later messages."""
    async with running() as it, connect(f"{it.ws}/chat/one?text=one&tags=a&tags=b&level=1") as socket:
        await socket.send(note(room="one", text="one", count=0, tags=["a", "b"], level=1))
        assert (await said(socket))["tags"] == ["a", "b"]
        await socket.send(note(room="one", text="two"))
        assert (await said(socket))["text"] == "two"


async def test_fields() -> None:
    """With a body each frame is one field, in both directions."""
    async with running() as it, connect(f"{it.ws}/boxes/mine/chat") as socket:
        await socket.send('{"text": "a"}')
        assert await said(socket) == {"text": "a", "number": "0"}
        assert it.service.seen[0].name == "mine"


@pytest.mark.parametrize(("text", "code"), [("late", 403), ("crash", 500)])
async def test_errors(text: str, code: int) -> None:
    """A failure is a control frame that Go peers can print and ours can read, then close code 1011."""
    async with running() as it, connect(f"{it.ws}/chat/blue") as socket:
        await socket.send(note(text=text))
        frame = await socket.recv()
        assert isinstance(frame, str)
        assert frame.startswith(ERROR_PREFIX)
        parsed = parse_error_text(frame.removeprefix(ERROR_PREFIX))
        assert parsed is not None
        assert parsed[0] == code
        assert SECRET not in frame
        close_code, reason = await closed(socket)
        assert close_code == 1011
        if text == "late":
            assert frame == ERROR_PREFIX + LATE
            assert reason == LATE
        else:
            assert parsed[3]["error_id"]


async def test_bad_frames() -> None:
    """A frame that cannot be read is a 400 of the call."""
    for frame in ("nonsense", '{"count": "x"}', b"\xff"):
        async with running() as it, connect(f"{it.ws}/chat/blue") as socket:
            await socket.send(frame)
            parsed = parse_error_text(str(await socket.recv()).removeprefix(ERROR_PREFIX))
            assert parsed is not None
            assert parsed[:2] == (400, "CODEC")


async def test_error_of_the_client() -> None:
    """A client may say that it has failed."""
    async with running() as it, connect(f"{it.ws}/collect/blue") as socket:
        await socket.send(ERROR_PREFIX + "no more")
        assert str(await socket.recv()).startswith(f"{ERROR_PREFIX}error: code = 499 reason = CLIENT_FAILED")


async def test_refused_before_the_upgrade() -> None:
    """What a middleware refuses is an ordinary HTTP error, with its headers, and no WebSocket."""

    async def header(request: Any, call: Call, next: Handler) -> Any:
        call.reply.headers.set("www-authenticate", "Bearer")
        return await next(request, call)

    async with running(header, deny) as it:
        for path in ("/chat/blue", "/collect/blue", "/boxes/b/chat"):
            status, body, headers = await refused(it.ws + path, accept="application/protojson")
            assert (status, body["reason"], headers["www-authenticate"]) == (401, "NO_TOKEN", "Bearer")
            assert headers["content-type"] == "application/protojson"
        assert it.service.calls == []


async def test_refused_requests() -> None:
    """Unknown paths, bad limits, other sites and paths without streams are refused in words."""
    async with running() as it:
        assert (await refused(f"{it.ws}/nope"))[0] == 404
        status, body, _ = await refused(f"{it.ws}/echo/a")
        assert (status, body["reason"]) == (400, "NO_WEBSOCKET")
        assert (await refused(f"{it.ws}/chat/blue", x_request_timeout="soon"))[1]["reason"] == "BAD_TIMEOUT"
        for origin in ("http://evil.example", "null", f"http://127.0.0.1:{it.port}.evil.example", "http://[x"):
            status, body, _ = await refused(f"{it.ws}/chat/blue", origin=origin)
            assert (status, body["reason"]) == (403, "ORIGIN_NOT_ALLOWED")
        async with connect(f"{it.ws}/chat/blue", additional_headers={"origin": f"http://127.0.0.1:{it.port}"}):
            pass


async def test_refusals_pass_the_chain() -> None:
    """Middleware sees handshakes that are refused, so that they are logged and counted."""
    seen: list[Any] = []

    async def watching(request: Any, call: Call, next: Handler) -> Any:
        seen.append(call.rejected)
        return await next(request, call)

    async with running(watching) as it:
        await refused(f"{it.ws}/chat/blue", origin="http://evil.example")
        assert isinstance(seen[0], Forbidden)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_plain_requests(method: str) -> None:
    """A plain request to a stream is told to upgrade."""
    async with running() as it:
        answer = await it.ask("/collect/blue", method)
        assert (answer.status, answer.reason, answer.headers["upgrade"]) == (426, "UPGRADE_REQUIRED", "websocket")
        assert (await it.ask("/collect/blue", "DELETE")).headers["allow"] == "GET, OPTIONS, POST"


async def test_accept_of_a_quiet_handler() -> None:
    """A handler that neither reads nor sends keeps nobody waiting for the handshake."""
    async with running() as it, connect(f"{it.ws}/chat/blue", additional_headers={"x-quiet": "1"}, open_timeout=3):
        assert it.service.working.is_set()


async def test_headers_of_the_handshake() -> None:
    """Headers set before the connection is accepted are in the answer to the handshake."""

    async def header(request: Any, call: Call, next: Handler) -> Any:
        call.reply.headers.set("x-served-by", "me")
        return await next(request, call)

    async with running(header) as it, connect(f"{it.ws}/chat/blue") as socket:
        assert socket.response is not None
        assert socket.response.headers["x-served-by"] == "me"


@pytest.mark.parametrize("how", ["reset", "close", "unread"])
async def test_disconnect(how: str, caplog: pytest.LogCaptureFixture) -> None:
    """The handler of a client that has gone is cancelled, whether it closed, vanished, or had more to say."""
    async with running() as it:
        socket = await connect(f"{it.ws}/chat/blue")
        await socket.send(note(text="hang"))
        await asyncio.wait_for(it.service.working.wait(), 2)
        if how == "unread":
            for _ in range(5):
                await socket.send(note(text="a"))
            await asyncio.sleep(0.1)
        if how == "close":
            await socket.close()
        else:
            socket.transport.abort()
        await asyncio.wait_for(it.service.cancelled.wait(), 2)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_disconnect_while_reading() -> None:
    """A handler that waits for the next message of a client that has gone is cancelled, not ended."""
    ends: list[type[BaseException]] = []

    async def noting(request: Any, call: Call, next: Handler) -> Any:
        try:
            return await next(request, call)
        except BaseException as end:
            ends.append(type(end))
            raise

    for code in (1000, 1001, 1011):
        async with running(noting) as it:
            async with connect(f"{it.ws}/chat/blue") as socket:
                await socket.send(note(text="a"))
                await socket.recv()
                await socket.close(code)
            await until(lambda: ends)
            assert ends == [asyncio.CancelledError]
            ends.clear()


async def test_large_message() -> None:
    """A message beyond the limit closes with 1009 and cancels the handler."""
    async with running(limits=Limits(max_body=1000)) as it, connect(f"{it.ws}/chat/blue") as socket:
        await socket.send(note(text="a" * 900))
        await said(socket)
        await socket.send("x" * 1_000_000)
        assert (await closed(socket))[0] == 1009


async def test_broken_frames() -> None:
    """Frames against the protocol close the connection, and the server lives."""
    async with running() as it:
        for data in (b"\x81\x01a", b"\xf1\x80\x00\x00\x00\x00", b"\x81\x82\x00\x00\x00\x00\xff\xfe"):
            async with await it.raw() as raw:
                await raw.send(HANDSHAKE)
                assert (await raw.head()).status == 101
                await raw.send(data)
                assert (await asyncio.wait_for(raw.reader.read(), 5))[:1] == b"\x88"
        async with connect(f"{it.ws}/chat/blue"):
            pass


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("Version: 13", "Version: 12", 426),
        ("Key: dGhlIHNhbXBsZSBub25jZQ==", "Key: short", 426),
        ("Sec-WebSocket-Key", "X", 426),
        ("GET", "POST", 405),
        ("Host: x", f"Host: x\r\ncookie: {'x' * 9000}", 400),
        ("Host: x\r\n", "", 400),
    ],
)
async def test_bad_handshakes(old: str, new: str, status: int) -> None:
    """What is no handshake is refused, and the connection ends or goes on as HTTP."""
    async with running() as it, await it.raw() as raw:
        await raw.send(HANDSHAKE.replace(old, new))
        assert (await raw.answer()).status == status


async def test_handshake_with_a_body() -> None:
    """A handshake has no body; one that has is refused, and the server lives."""
    async with running(limits=Limits(max_body=100)) as it:
        for body in ("Transfer-Encoding: chunked\r\n\r\nzz\r\n", "Content-Length: 1000\r\n\r\n" + "x" * 1000):
            async with await it.raw() as raw:
                await raw.send(HANDSHAKE[:-2] + body)
                answer = await raw.answer()
                assert (answer.status, answer.reason) == (400, "BAD_HANDSHAKE")
                assert await raw.ended()
        async with connect(f"{it.ws}/chat/blue"):
            pass


async def test_handler_with_tasks_of_its_own() -> None:
    """A handler may read in a task of its own, and is cancelled as a whole when the client leaves."""
    async with running() as it:
        ends: list[str] = []

        async def collect(requests: Any, call: Call) -> Note:
            async def read() -> None:
                try:
                    async for request in requests:
                        it.service.seen.append(request)
                except asyncio.CancelledError:
                    ends.append("reader")
                    raise

            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(read())
            except asyncio.CancelledError:
                ends.append("handler")
                raise
            return Note(count=len(it.service.seen))

        it.service.collect = collect  # type: ignore[method-assign]
        it.server.mount([it.service], [], it.info)
        await it.server.stop(0)
        await it.server.start()
        url = f"ws://{it.server.endpoint.removeprefix('http://')}/collect/blue"
        async with connect(url) as socket:
            await socket.send(note(text="a"))
            await socket.send(END)
            assert (await said(socket))["count"] == 1
        async with connect(url) as socket:
            await socket.send(note(text="a"))
            await until(lambda: len(it.service.seen) == 2)
        await until(lambda: ends == ["reader", "handler"])


async def test_slow_reader() -> None:
    """A reader that does not read stops the handler after what the buffers hold."""
    async with running() as it, await it.raw() as raw:
        raw.reader._limit = 1  # type: ignore[attr-defined]
        await raw.send(HANDSHAKE)
        body = note(text="flood", count=100_000).encode()
        await raw.send(bytes([0x81, 0x80 | len(body), 0, 0, 0, 0]) + body)
        await until(lambda: it.service.sent > 0)
        sent = -1
        while sent != it.service.sent:
            sent = it.service.sent
            await asyncio.sleep(0.3)
        assert sent < 3000
        raw.reset()


async def test_slow_handler() -> None:
    """A handler that does not read stops the client after what the buffers hold."""
    async with running() as it, connect(f"{it.ws}/chat/blue") as socket:
        await socket.send(note(text="hang"))

        async def flood() -> None:
            while True:
                await socket.send(note(text="x" * 10_000))

        flooding = asyncio.create_task(flood())
        await asyncio.sleep(0.5)
        (connection,) = it.server._server._connections()  # type: ignore[union-attr]
        assert connection.queue.qsize() < 20  # type: ignore[union-attr]
        flooding.cancel()
        socket.transport.abort()


async def test_read_ahead_keeps_the_order() -> None:
    """Many messages at once arrive in order and none is lost."""
    async with running() as it, connect(f"{it.ws}/collect/blue") as socket:
        for number in range(500):
            await socket.send(note(text=str(number)))
        await socket.send(END)
        assert (await said(socket))["text"].split() == [str(number) for number in range(500)]


async def test_stop() -> None:
    """Stopping lets a call go on, and ends it with an error when time is up."""
    async with running() as it, connect(f"{it.ws}/chat/blue") as socket, connect(f"{it.ws}/chat/red") as other:
        await socket.send(note(text="a"))
        await said(socket)
        stopping = asyncio.create_task(it.server.stop(0.5))
        await asyncio.sleep(0.1)
        await socket.send(note(text="b"))
        assert (await said(socket))["text"] == "b"
        assert str(await socket.recv()).startswith(f"{ERROR_PREFIX}error: code = 503 reason = SERVER_STOPPING")
        assert (await closed(socket))[0] == 1011
        with pytest.raises(ConnectionClosed):
            while True:
                await other.recv()
        await asyncio.wait_for(stopping, 2)


async def test_timeout_of_the_client() -> None:
    """A client may limit its stream."""
    headers = {"x-request-timeout": "200m"}
    async with running() as it, connect(f"{it.ws}/chat/blue", additional_headers=headers) as socket:
        assert "reason = DEADLINE_EXCEEDED" in str(await socket.recv())


async def test_wrong_reply(caplog: pytest.LogCaptureFixture) -> None:
    """A reply of the wrong type is a concealed 500."""
    async with running() as it:

        async def wrong(requests: Any, call: Call) -> Note:
            async for _ in requests:
                pass
            return "no message"  # type: ignore[return-value]

        it.service.collect = wrong  # type: ignore[method-assign]
        it.server.mount([it.service], [], it.info)
        await it.server.stop(0)
        await it.server.start()
        async with connect(f"ws://{it.server.endpoint.removeprefix('http://')}/collect/blue") as socket:
            await socket.send(END)
            frame = str(await socket.recv())
            assert "code = 500 reason = UNKNOWN" in frame
            assert "no message" not in frame


async def test_a_web_socket_that_goes_well_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    """The access log has its line; no library writes another one."""
    with caplog.at_level("INFO"):
        async with running() as server, connect(f"{server.ws}/chat/blue") as peer:
            await peer.send('{"text": "a"}')
            await peer.recv()
    assert [record.name for record in caplog.records if record.name.startswith(("uvicorn", "kratos"))] == []
