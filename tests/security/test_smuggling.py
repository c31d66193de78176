"""Where one request ends and the next begins: each vector is refused and its connection closed, or read in one way."""

from __future__ import annotations

import pytest
from unit.transport.http_server.support import running

from security.wire import LAST, exchange

pytestmark = pytest.mark.usefixtures("engine")  # over both fronts, with the same answers

POST = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /echo/a HTTP/1.1\r\nHost: x\r\n"
HIDDEN = b"GET /echo/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
LENGTH = str(len(HIDDEN)).encode()
OFFER = b"Connection: upgrade\r\nUpgrade: "
SOCKET = OFFER + b"websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
BODY = b'{"text": "body"}'

REFUSED = {
    "length and chunked": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunked and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: %s\r\n\r\n0\r\n\r\n" % LENGTH + HIDDEN,
    "length twice": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length with a comma": POST + b"Content-Length: 2, 2\r\n\r\n{}",
    "length with a plus": POST + b"Content-Length: +2\r\n\r\n{}",
    "length with a minus": POST + b"Content-Length: -2\r\n\r\n{}",
    "length with a space": POST + b"Content-Length: 2 2\r\n\r\n{}",
    "hexadecimal length": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "length with a vertical tab": POST + b"Content-Length: \x0b2\r\n\r\n{}",
    "empty length": POST + b"Content-Length: \r\n\r\n{}",
    "length that overflows": POST + b"Content-Length: 18446744073709551618\r\n\r\n{}",
    "length with a byte behind its name": POST + b"Content-Length\xa0: 2\r\n\r\n{}",
    "space before the colon": POST + b"Content-Length : 2\r\n\r\n{}",
    "tab before the colon": POST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "folded header": POST + b"X: a\r\n b\r\n\r\n",
    "folded length": POST + b"Content-Length:\r\n 2\r\n\r\n{}",
    "folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "folded first header": b"GET /echo/a HTTP/1.1\r\n Host: x\r\nHost: x\r\n\r\n",
    "bare line feeds": b"GET /echo/a HTTP/1.1\nHost: x\n\n",
    "one bare line feed": GET[:-2] + b"\nX: y\r\n\r\n",
    "bare line feed at the end": GET + b"\n",
    "bare carriage return": GET[:-2] + b"\rX: y\r\n\r\n",
    "NUL in a value": GET + b"X: a\x00b\r\n\r\n",
    "NUL in a name": GET + b"X\x00: a\r\n\r\n",
    "no name": GET + b": y\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "chunked, identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN,
    "identity, chunked": POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunkedx": POST + b"Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunked, chunked": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunked and identity": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "quoted coding": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n' + HIDDEN,
    "coding with a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "coding with a parameter": POST + b"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n" + HIDDEN,
    "coding with a comma": POST + b"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n" + HIDDEN,
    "empty coding": POST + b"Transfer-Encoding: \r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunk that overflows": CHUNKED + b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n" + HIDDEN,
    "chunk that wraps around": CHUNKED + b"10000000000000002\r\n{}\r\n0\r\n\r\n" + HIDDEN,
    "chunk with a minus": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n" + HIDDEN,
    "chunk with 0x": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n" + HIDDEN,
    "chunk with a space": CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n" + HIDDEN,
    "line feed in an extension": CHUNKED + b"2;a\n{}\r\n0\r\n\r\n" + HIDDEN,
    "line end in a quoted extension": CHUNKED + b'2;a="\r\n{}\r\n0\r\n\r\n"\r\n' + HIDDEN,
    "chunks with bare line feeds": CHUNKED + b"2\n{}\n0\n\n" + HIDDEN,
    "chunk without an end": CHUNKED + b"2\r\n{}0\r\n\r\n" + HIDDEN,
    "chunk longer than it says": CHUNKED + b"2\r\n{}xx\r\n0\r\n\r\n" + HIDDEN,
    "length in a trailer": CHUNKED + b"2\r\n{}\r\n0\r\nContent-Length: 40\r\n\r\n" + HIDDEN,
    "coding in a trailer": CHUNKED + b"2\r\n{}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n" + HIDDEN,
    "trailer without a colon": CHUNKED + b"2\r\n{}\r\n0\r\nbad\r\n\r\n" + HIDDEN,
    "CONNECT": b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n" + HIDDEN,
    "authority": b"GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "absolute without a path": b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n",
    "fragment": b"GET /echo/a#b HTTP/1.1\r\nHost: x\r\n\r\n",
    "space in the target": b"GET /echo/a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "tabs in the request line": b"GET\t/echo/a\tHTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/0.9": b"GET /echo/a\r\n\r\n",
    "HTTP/1.2": b"GET /echo/a HTTP/1.2\r\nHost: x\r\n\r\n",
    "HTTP/2.0": b"GET /echo/a HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP/01.1": b"GET /echo/a HTTP/01.1\r\nHost: x\r\n\r\n",
    "method in lower case": b"get /echo/a HTTP/1.1\r\nHost: x\r\n\r\n",
    "host with a space": b"GET /echo/a HTTP/1.1\r\nHost: a b\r\n\r\n",
    "host with a path": b"GET /echo/a HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "WebSocket with a request as its body": GET + SOCKET + b"Content-Length: %s\r\n\r\n" % LENGTH + HIDDEN,
    "WebSocket with chunks": GET + SOCKET + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "two hosts": GET + b"Host: x\r\n\r\n",
}


@pytest.mark.parametrize("piece", [None, 5])
@pytest.mark.parametrize("sent", list(REFUSED.values()), ids=list(REFUSED))
async def test_what_may_be_read_in_two_ways_is_refused(sent: bytes, piece: int | None) -> None:
    """One 400, a closed connection, and no call: neither of the attack nor of what was hidden in it."""
    async with running() as it:
        got = await exchange(it.port, sent + LAST, piece=piece)
        assert (got.statuses, got.closed) == ([400], True), got.data
        assert it.service.seen == []


# What each means: the texts that the handler has seen.
READ: dict[str, tuple[bytes, list[str]]] = {
    "space behind the length": (POST + b"Content-Length: 16 \r\n\r\n" + BODY, ["body"]),
    "zeros before the length": (POST + b"Content-Length: 00016\r\n\r\n" + BODY, ["body"]),
    "length like another header": (POST + b"Content_Length: 99\r\nContent-Length: 16\r\n\r\n" + BODY, ["body"]),
    "coding in any case": (POST + b"Transfer-Encoding: ChUnKeD \r\n\r\n10\r\n" + BODY + b"\r\n0\r\n\r\n", ["body"]),
    "extension of a chunk": (CHUNKED + b'10;a="b c";d\r\n' + BODY + b"\r\n0;e\r\n\r\n", ["body"]),
    "zeros before a chunk": (CHUNKED + b"0000000000000000010\r\n" + BODY + b"\r\n0000\r\n\r\n", ["body"]),
    "trailers": (CHUNKED + b"10\r\n" + BODY + b"\r\n0\r\nHost: y\r\nX-Room: red\r\n\r\n", ["body"]),
    "a body where none is read": (GET + b"Content-Length: %s\r\n\r\n" % LENGTH + HIDDEN, ["a"]),
    "no length": (POST + b"\r\n" + HIDDEN, ["", "smuggled"]),
    "offer of another protocol": (GET + OFFER + b"h2c\r\n\r\n" + HIDDEN, ["a", "smuggled"]),
    "offer with a body": (POST + OFFER + b"h2c\r\nContent-Length: 16\r\n\r\n" + BODY, ["body"]),
    "offer with a request as its body": (GET + OFFER + b"h2c\r\nContent-Length: %s\r\n\r\n" % LENGTH + HIDDEN, ["a"]),
    "offer with chunks": (
        POST + OFFER + b"h2c\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n" + BODY + b"\r\n0\r\n\r\n",
        ["body"],
    ),
    "two offers": (GET + OFFER + b"h2c\r\nUpgrade: websocket\r\nContent-Length: %s\r\n\r\n" % LENGTH + HIDDEN, ["a"]),
    "absolute target": (b"GET http://other/echo/a HTTP/1.1\r\nHost: x\r\n\r\n", ["a"]),
    "two slashes": (b"GET //other/echo/a HTTP/1.1\r\nHost: x\r\n\r\n", []),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", []),
    "method in a header": (b"POST /echo/a HTTP/1.1\r\nHost: x\r\nX-HTTP-Method-Override: GET\r\n\r\n", []),
    "empty lines first": (b"\r\n\r\n" + GET + b"\r\n", ["a"]),
}


@pytest.mark.parametrize("piece", [None, 5])
@pytest.mark.parametrize(("sent", "texts"), list(READ.values()), ids=list(READ))
async def test_what_is_read_is_read_in_one_way(sent: bytes, texts: list[str], piece: int | None) -> None:
    """The handler has seen exactly these, and then the request that follows them."""
    async with running() as it:
        got = await exchange(it.port, sent + LAST, piece=piece)
        assert not got.closed, got.data
        assert [note.text for note in it.service.seen] == [*texts, "last"]
        assert all(call.headers.get("x-room") is None for call in it.service.calls)  # no trailer is a header


@pytest.mark.parametrize(
    "sent",
    [
        GET + b"Connection: close\r\n\r\n",
        GET + OFFER + b"h2c\r\nConnection: close\r\n\r\n",
        b"GET /echo/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        POST.replace(b"1.1", b"1.0") + b'Transfer-Encoding: chunked\r\n\r\nc\r\n{"text":"a"}\r\n0\r\n\r\n',
    ],
    ids=["close", "close, and an offer", "HTTP/1.0", "HTTP/1.0 in chunks"],
)
async def test_nothing_is_read_behind_the_last_request(sent: bytes) -> None:
    """Who says that a request is the last one is not answered a second time."""
    async with running() as it:
        got = await exchange(it.port, sent + HIDDEN)
        assert (got.statuses, got.closed) == ([200], True), got.data
        assert [note.text for note in it.service.seen] == ["a"]


async def test_requests_ahead_are_bounded() -> None:
    """More requests than anybody sends ahead of their answers are refused, after those before them."""
    async with running() as it:
        got = await exchange(it.port, GET + b"\r\n" + (b"GET /echo/b HTTP/1.1\r\nHost:\r\n\r\n" * 9000))
        assert got.closed
        assert set(got.statuses) == {200, 429}
        assert got.statuses[-1] == 429
        assert len(it.service.seen) == len(got.statuses) - 1 < 2500
