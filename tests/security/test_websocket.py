"""WebSockets against the protocol: each ends with a close frame that says why, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import struct

import pytest
from unit.transport.http_server.support import Running, deny, running, until

from kratos.transport.http.limits import Limits
from security.wire import HANDSHAKE, frame, opened

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
HELLO = b'{"text":"hello"}'


async def code_of(it: Running, *sent: bytes, handshake: bytes = HANDSHAKE) -> int:
    """Sends frames on a new WebSocket; returns the code of the frame that closes it."""
    reader, writer = await opened(it.port, handshake)
    writer.write(b"".join(sent))
    said = b""
    try:
        said = await asyncio.wait_for(reader.read(), 15)
    except ConnectionResetError:
        pass
    finally:
        writer.close()
    while said:
        opcode, size = said[0] & 15, said[1]
        assert size < 126, said[:200]
        if opcode == CLOSE:
            return int(struct.unpack(">H", said[2:4])[0])
        said = said[2 + size :]
    return 0


ABUSES = {
    "not masked": ([frame(TEXT, HELLO, masked=False)], 1002),
    "reserved bit 1: compressed": ([frame(TEXT, HELLO, reserved=4)], 1002),
    "reserved bit 2": ([frame(TEXT, HELLO, reserved=2)], 1002),
    "reserved bit 3": ([frame(TEXT, HELLO, reserved=1)], 1002),
    "reserved opcode": ([frame(3, HELLO)], 1002),
    "reserved control opcode": ([frame(11)], 1002),
    "long ping": ([frame(PING, b"x" * 126)], 1002),
    "ping in pieces": ([frame(PING, b"x", final=False)], 1002),
    "long close": ([frame(CLOSE, b"\x03\xe8" + b"x" * 124)], 1002),
    "close with half a code": ([frame(CLOSE, b"\x03")], 1002),
    "close with a code that is none": ([frame(CLOSE, struct.pack(">H", 1005))], 1002),
    "close with a reason that is no text": ([frame(CLOSE, b"\x03\xe8\xff")], 1007),
    "continuation of nothing": ([frame(0, HELLO)], 1002),
    "a message inside of another": ([frame(TEXT, b"{", final=False), frame(TEXT, HELLO)], 1002),
    "close inside of a message": ([frame(TEXT, b"{", final=False), frame(CLOSE, b"\x03\xe8")], 1002),
    "too large": ([frame(TEXT, b"x" * 1001)], 1009),
    "too large, and a lie": ([b"\x81\xff" + struct.pack(">Q", 2**63 - 1) + b"mask"], 1009),
    "length with its highest bit": ([b"\x81\xff" + struct.pack(">Q", 2**64 - 1) + b"mask"], 1009),
    "too large in pieces": ([frame(TEXT, b"x" * 600, final=False), frame(0, b"x" * 600)], 1009),
    "no text": ([frame(TEXT, b"\xff\xfe")], 1007),
    "no text in pieces": ([frame(TEXT, b"\xc3", final=False), frame(0, b"\x28")], 1007),
    "half of a surrogate pair": ([frame(TEXT, b"\xed\xa0\x80")], 1007),
    "no text, again and again": ([frame(TEXT, b"\xff")] * 50, 1007),
    "no text, and all that may follow": ([frame(TEXT, b"\xff"), frame(PING), frame(BINARY)], 1007),
    "no text behind a good one": ([frame(TEXT, HELLO), frame(TEXT, b"\xff"), frame(TEXT, HELLO)], 1007),
}


@pytest.mark.parametrize(("sent", "code"), list(ABUSES.values()), ids=list(ABUSES))
async def test_abuse(sent: list[bytes], code: int) -> None:
    """The connection is closed with the code that the standard has for it; the handler is gone."""
    async with running(limits=Limits(max_body=1000)) as it:
        assert await code_of(it, *sent) == code
        server = it.server._server
        assert server is not None
        await until(lambda: not server.server_state.tasks, 20)
        assert (await it.ask("/echo/a")).status == 200


@pytest.mark.parametrize(
    "early",
    [*[b"".join(sent) for sent, _ in ABUSES.values()], frame(CLOSE), frame(PING) * 3],
    ids=[*ABUSES, "close", "pings"],
)
async def test_frames_before_the_answer(early: bytes) -> None:
    """What comes with the handshake is read behind its answer, and nothing is said before that."""
    async with running(limits=Limits(max_body=1000)) as it:
        reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
        writer.write(HANDSHAKE + early + frame(CLOSE, struct.pack(">H", 1000)))
        try:
            said = await asyncio.wait_for(reader.read(), 15)
        except ConnectionResetError:
            said = b"HTTP/1.1 101 "
        writer.close()
        assert said.startswith(b"HTTP/1.1 101 "), said
        assert said.count(b"HTTP/1.1") == 1


async def test_frames_before_a_refusal() -> None:
    """Where the handshake is refused, they are not read."""
    async with running(deny) as it, await it.raw() as raw:
        await raw.send(HANDSHAKE + frame(PING) + frame(TEXT, b"\xff"))
        answer = await raw.answer()
        assert (answer.status, answer.reason) == (401, "NO_TOKEN")
        assert await raw.ended()


async def test_data_after_close() -> None:
    """What comes behind a close frame is not read."""
    async with running() as it:
        closing = frame(CLOSE, struct.pack(">H", 1000))
        assert await code_of(it, closing, frame(TEXT, HELLO), frame(PING), closing) == 1000
        assert it.service.seen == []


async def test_pieces_without_end() -> None:
    """A message in very many pieces, most of them empty, is one message."""
    async with running() as it:
        reader, writer = await opened(it.port)
        pieces = [frame(TEXT, b'{"text":"', final=False), *[frame(0, final=False)] * 20_000]
        pieces += [frame(0, b"x", final=False) + frame(PONG)] * 20_000
        writer.write(b"".join([*pieces, frame(0, b'"}')]))
        await writer.drain()
        await until(lambda: it.service.seen, 20)
        assert it.service.seen[0].text == "x" * 20_000
        head = await asyncio.wait_for(reader.readexactly(4), 15)
        said = await asyncio.wait_for(reader.readexactly(int.from_bytes(head[2:], "big")), 15)
        assert json.loads(said)["text"] == "x" * 20_000
        writer.close()


async def test_pings_are_answered() -> None:
    """A flood of pings is answered as long as somebody reads the answers."""
    async with running() as it:
        reader, writer = await opened(it.port)
        sent = frame(PING, b"x" * 100) * 5000
        writer.write(sent)
        answers = await asyncio.wait_for(reader.readexactly(5000 * 102), 20)
        assert answers == frame(PONG, b"x" * 100, masked=False) * 5000
        writer.close()


@pytest.mark.parametrize(
    "extra",
    [
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n",
        b"Sec-WebSocket-Protocol: " + b"a," * 4000 + b"b\r\n",
        b"X-Wide: \xff\xfe\r\n",
    ],
    ids=["compression", "protocols", "bytes"],
)
async def test_handshakes_with_more_than_is_asked_for(extra: bytes) -> None:
    """Extensions and protocols that are not spoken here are not accepted, and break nothing."""
    async with running() as it:
        _, writer = await opened(it.port, HANDSHAKE[:-2] + extra + b"\r\n")
        writer.close()


async def test_a_header_longer_than_the_handshake_takes() -> None:
    """What is no request for the WebSocket's own parser is a 400."""
    async with running() as it, await it.raw() as raw:
        await raw.send(HANDSHAKE[:-2] + b"X: " + b"y" * 20_000 + b"\r\n\r\n")
        answer = await raw.answer()
        assert (answer.status, answer.reason) == (400, "BAD_HANDSHAKE")
