"""Line ends in what a handler sets or a request says: nobody adds a header by it, or a second answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kratos.call import AppInfo, Call
from kratos.errors import Error
from kratos.live import Live
from kratos.operation import Http, ServerStream, Unary
from kratos.service import Service
from kratos.transport.http import HTTPServer
from kratos.wire.google.api.httpbody_pb import HttpBody
from security.wire import Exchange, exchange

pytestmark = pytest.mark.usefixtures("engine")  # over both fronts, with the same answers

BREAK = "x\r\nx-evil: yes\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture(autouse=True)
def quiet() -> None:
    """Takes the place of what looks for tracebacks: handlers that break a rule crash here."""


ONE = Unary("/evil.v1.Evil/One", HttpBody, HttpBody, http=(Http("GET", "/one"), Http("GET", "/one/{data=**}")))
MANY = ServerStream("/evil.v1.Evil/Many", HttpBody, HttpBody, http=(Http("GET", "/many"),))
Deed = Callable[[Call], Any]


class Evil(Service):
    __operations__ = (("one", ONE), ("many", MANY))

    def __init__(self, deed: Deed) -> None:
        self._deed = deed

    async def one(self, request: HttpBody, call: Call) -> Any:
        return self._deed(call) or HttpBody(data=b"fine")

    async def many(self, request: HttpBody, call: Call) -> AsyncIterator[Any]:
        yield self._deed(call) or HttpBody(data=b"fine")


@asynccontextmanager
async def served(deed: Deed) -> AsyncIterator[Callable[[bytes], Awaitable[Exchange]]]:
    """Serves a handler; what is yielded sends a request and reads until the connection is closed."""
    server = HTTPServer("127.0.0.1:0")
    server.mount([Evil(deed)], (), AppInfo(name="evil", readiness=Live(value=True)))
    await server.start()
    port = int(server.endpoint.rpartition(":")[2])

    async def ask(request: bytes) -> Exchange:
        return await exchange(port, request + b"Host: x\r\nConnection: close\r\n\r\n", until=b"never")

    try:
        yield ask
    finally:
        await server.stop(1)


def check(got: Exchange) -> None:
    """Asserts one answer, of one head and one body, whose headers are ours."""
    head, _, body = got.data.partition(b"\r\n\r\n")
    assert got.closed
    assert got.data.startswith(b"HTTP/1.1 ")
    for line in head.split(b"\r\n")[1:]:
        name, colon, _ = line.partition(b": ")
        assert colon, head
        assert name != b"x-evil", head
    assert b"\n" not in head.replace(b"\r\n", b"")
    assert b"HTTP/1.1 200 OK\r\n" not in body
    if b"content-length: " in head:
        assert len(body) == int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])


def fail(call: Call, **options: Any) -> None:
    raise Error("no", **options)


DEEDS: dict[str, Deed] = {
    "header": lambda call: call.reply.headers.set("x-one", BREAK),
    "name of a header": lambda call: call.reply.headers.set(BREAK, "x"),
    "line feed alone": lambda call: call.reply.headers.set("x-one", "x\nx-evil: yes"),
    "other control characters": lambda call: call.reply.headers.set("x-one", "x\x0b\x0c\x1b\x85x-evil: yes"),
    "beyond Latin-1": lambda call: call.reply.headers.set("x-one", "x\u010d\u010ax-evil: yes"),
    "cookie": lambda call: call.reply.set_cookie("a", BREAK),
    "name of a cookie": lambda call: call.reply.set_cookie(BREAK, "a"),
    "path of a cookie": lambda call: call.reply.set_cookie("a", "b", path=BREAK),
    "domain of a cookie": lambda call: call.reply.set_cookie("a", "b", domain=BREAK),
    "redirect": lambda call: call.reply.redirect(BREAK),
    "file": lambda call: call.reply.name_file(BREAK),
    "quotes in a file": lambda call: call.reply.name_file('a"; x-evil=\r\n"; filename="b'),
    "content type": lambda call: HttpBody(content_type=BREAK),
    "content type with a line feed": lambda call: HttpBody(content_type="text/plain\n"),
    "message of an error": lambda call: fail(call, code=404, reason=BREAK),
    "allow": lambda call: fail(call, code=405, metadata={"allow": BREAK}),
    "accept-encoding": lambda call: fail(call, code=415, metadata={"accept-encoding": BREAK}),
    "content-range": lambda call: fail(call, code=416, metadata={"content-range": BREAK}),
    "metadata of an error": lambda call: fail(call, code=400, metadata={BREAK: BREAK}),
    "framing": lambda call: call.reply.headers.update({"content-length": "0", "transfer-encoding": "chunked"}),
}


@pytest.mark.parametrize("path", [b"/one", b"/many"])
@pytest.mark.parametrize("deed", list(DEEDS.values()), ids=list(DEEDS))
async def test_what_a_handler_sets(deed: Deed, path: bytes) -> None:
    """Whatever a handler puts into a reply, it is one reply."""
    async with served(deed) as ask:
        got = await ask(b"GET " + path + b" HTTP/1.1\r\n")
        check(got)
        assert b"\nx-evil" not in got.data


REFLECTED = {
    "path": b"GET /nowhere%0d%0ax-evil:%20yes HTTP/1.1\r\n",
    "path, known with a slash": b"GET /one/%0d%0ax-evil:%20yes/ HTTP/1.1\r\n",
    "method": b"PURGE /one?%0d%0ax-evil:%20yes HTTP/1.1\r\n",
    "query": b"GET /many?content_type=text/plain%0d%0ax-evil:%20yes HTTP/1.1\r\n",
    "coding": b"POST /one HTTP/1.1\r\nContent-Encoding: a\tx-evil: yes\r\nContent-Length: 1\r\n",
    "accept": b"GET /nowhere HTTP/1.1\r\nAccept: application/json;a=b\tx-evil: yes\r\n",
    "range": b"GET /one HTTP/1.1\r\nRange: bytes=9-\tx-evil: yes\r\n",
    "time limit": b"GET /one HTTP/1.1\r\nx-request-timeout: 1\tx-evil: yes\r\n",
    "upgrade": b"GET /one HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: a\tx-evil: yes\r\n",
}


@pytest.mark.parametrize("request_line", list(REFLECTED.values()), ids=list(REFLECTED))
async def test_what_an_error_repeats(request_line: bytes) -> None:
    """What a request says comes back inside of a body, and there inside of a string."""
    async with served(lambda call: None) as ask:
        got = await ask(request_line)
        check(got)
