"""A service of every kind on real sockets, and a client that says exactly what it is told to."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from fixtures.gen.fixture.streams.v1.streams_errors import Late
from fixtures.gen.fixture.streams.v1.streams_kratos import StreamsService
from fixtures.gen.fixture.streams.v1.streams_pb import Box, Note

from kratos.call import AppInfo, Call
from kratos.errors import Unauthorized
from kratos.handler import Handler, Messages, Middleware
from kratos.live import Live
from kratos.transport.http import HTTPServer

SECRET = "secret-db-password"  # noqa: S105 - what must not be seen


class Streams(StreamsService):
    """Echoes. The text decides what happens: ``late``, ``crash``, ``hang`` and the like misbehave."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.seen: list[Any] = []
        self.cancelled = asyncio.Event()
        self.working = asyncio.Event()
        self.go = asyncio.Event()
        self.sent = 0

    async def _misbehave(self, text: str, call: Call) -> None:
        if text == "late":
            raise Late("no", metadata={"k": "v"})
        if text == "crash":
            raise ValueError(SECRET)
        if text == "hang":
            self.working.set()
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise

    async def echo(self, request: Note, call: Call) -> Note:
        self.calls.append(call)
        self.seen.append(request)
        await self._misbehave(request.text, call)
        if request.text == "status":
            call.reply.status = request.count
        if request.text == "wrong":
            return "no message"  # type: ignore[return-value]
        if request.text == "overflow":
            return Note(count=2**40)
        if request.text == "headers":
            call.reply.headers.set("content-length", "999")
            call.reply.headers.set("connection", "upgrade")
            call.reply.headers.set("x-bell", "ding\x07")
            call.reply.headers.set("a:b", "c")
        return request

    async def watch(self, request: Note, call: Call) -> AsyncIterator[Note]:
        self.calls.append(call)
        self.seen.append(request)
        if request.text == "first-late":
            raise Late("no", metadata={"k": "v"})
        call.reply.headers.set("x-room", "blue")
        if request.text == "wrong":
            yield "no message"  # type: ignore[misc]
        if request.text == "flood":
            for number in range(request.count):
                self.sent = number
                yield Note(text="x" * 10_000, count=number)
            return
        for number in range(request.count):
            yield Note(text=request.text, count=number)
        await self._misbehave(request.text, call)

    async def collect(self, requests: Messages[Note], call: Call) -> Note:
        self.calls.append(call)
        texts: list[str] = []
        async for note in requests:
            self.seen.append(note)
            await self._misbehave(note.text, call)
            texts.append(note.text)
        return Note(room=call.headers.get("x-room", "") or "", text=" ".join(texts), count=len(texts))

    async def chat(self, requests: Messages[Note], call: Call) -> AsyncIterator[Note]:
        self.calls.append(call)
        if call.headers.get("x-quiet"):
            await self._misbehave("hang", call)
        async for note in requests:
            self.seen.append(note)
            await self._misbehave(note.text, call)
            if note.text == "bye":
                return
            if note.text == "flood":
                for number in range(note.count):
                    self.sent = number
                    yield Note(text="x" * 10_000, count=number)
            yield note

    async def put_item(self, request: Box, call: Call) -> Box:
        self.seen.append(request)
        return request

    async def watch_items(self, request: Box, call: Call) -> AsyncIterator[Box]:
        yield request
        yield Box()

    async def chat_items(self, requests: Messages[Box], call: Call) -> AsyncIterator[Box]:
        async for box in requests:
            self.seen.append(box)
            yield box


async def deny(request: Any, call: Call, next: Handler) -> Any:
    """Lets nobody in."""
    raise Unauthorized("who are you?", reason="NO_TOKEN")


@dataclass
class Answer:
    """A response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes
    lines: list[str] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        return str(self.json["reason"])


class Raw:
    """A connection that sends bytes as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes | str) -> None:
        self.writer.write(data.encode("latin-1") if isinstance(data, str) else data)
        await self.writer.drain()

    async def request(self, target: str, method: str = "GET", body: bytes | None = None, **headers: str) -> None:
        lines = [f"{method} {target} HTTP/1.1", "Host: x"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        await self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))

    async def head(self) -> Answer:
        """Reads up to the blank line."""
        text = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 15)).decode("latin-1")
        first, *lines = text.rstrip().split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        return Answer(int(first.split()[1]), {name.lower(): value for name, value in pairs}, b"", lines)

    async def answer(self, *, head_only: bool = False) -> Answer:
        answer = await self.head()
        if head_only:
            return answer
        if answer.headers.get("transfer-encoding") == "chunked":
            while part := await self.chunk():
                answer.body += part
        elif "content-length" in answer.headers:
            answer.body = await asyncio.wait_for(self.reader.readexactly(int(answer.headers["content-length"])), 15)
        return answer

    async def chunk(self) -> bytes:
        size = int(await asyncio.wait_for(self.reader.readuntil(b"\r\n"), 15), 16)
        return (await asyncio.wait_for(self.reader.readexactly(size + 2), 15))[:-2]

    async def ended(self) -> bool:
        """Tells whether the server closes the connection without a further word."""
        try:
            return await asyncio.wait_for(self.reader.read(1), 15) == b""
        except ConnectionError:
            return True

    def reset(self) -> None:
        """Vanishes."""
        self.writer.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()


@dataclass
class Running:
    """A server that runs."""

    server: HTTPServer
    service: Streams
    info: AppInfo
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def raw(self, host: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None) -> Raw:
        if self.server.address.startswith("unix:"):
            return Raw(*await asyncio.open_unix_connection(self.server.address.removeprefix("unix:")))
        name = None if tls is None else "localhost"
        return Raw(*await asyncio.open_connection(host, self.port, ssl=tls, server_hostname=name))

    async def ask(
        self,
        target: str,
        method: str = "GET",
        body: bytes | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        **headers: str,
    ) -> Answer:
        async with await self.raw(tls=tls) as raw:
            await raw.request(target, method, body, **headers)
            return await raw.answer(head_only=method == "HEAD")


@asynccontextmanager
async def running(
    *middleware: Middleware, address: str = "127.0.0.1:0", stop: float = 2.0, **options: Any
) -> AsyncGenerator[Running, None]:
    """Runs a server with the service of every kind."""
    service = Streams()
    server = HTTPServer(address, **options)
    info = AppInfo(name="streams", readiness=Live(value=True))
    server.mount([service], middleware, info)
    await server.start()
    try:
        yield Running(server, service, info, urlsplit(server.endpoint).port or 0)
    finally:
        await server.stop(stop)


async def until(condition: Any, seconds: float = 2.0) -> None:
    """Waits until something is so."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def events(body: bytes) -> list[tuple[str, Any]]:
    """Parses server-sent events the way the standard says."""
    found: list[tuple[str, Any]] = []
    for block in body.decode().split("\n\n"):
        name, data = "", []
        for line in block.split("\n"):
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data.append(line[6:])
        if data:
            found.append((name, json.loads("\n".join(data))))
    return found


def texts(messages: Iterable[tuple[str, Any]]) -> list[tuple[str, str, int]]:
    return [(name, data["text"], data["count"]) for name, data in messages]
