"""Bytes out, answers back: whole exchanges on one connection, and frames of WebSockets made by hand."""

from __future__ import annotations

import asyncio
import os
import re
import struct
from dataclasses import dataclass

__all__ = ["HANDSHAKE", "LAST", "Exchange", "exchange", "frame", "opened"]

LAST = b"GET /echo/last HTTP/1.1\r\nHost: x\r\n\r\n"
"""The request behind every attack: whether it is answered tells how the attack was read."""

HANDSHAKE = (
    b"GET /chat/blue HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)

_PATIENCE = 20.0


@dataclass
class Exchange:
    """What came back on a connection."""

    data: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        """The status of each answer."""
        return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3})[^\r\n\\]*\r\n", self.data)]


async def exchange(port: int, sent: bytes, *, piece: int | None = None, until: bytes = b'"text":"last"') -> Exchange:
    """Sends bytes on a new connection, and reads until the server closes it or says what was waited for.

    Args:
        port: Where to.
        sent: What to send.
        piece: How many bytes go out at a time; all at once if None.
        until: What to wait for.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        async with asyncio.timeout(_PATIENCE):
            for start in range(0, len(sent), piece or len(sent)):
                writer.write(sent[start : start + (piece or len(sent))])
                await asyncio.sleep(0)  # each piece is a write of its own
            while until not in received:
                part = await reader.read(65536)
                if not part:
                    return Exchange(received, closed=True)
                received += part
            return Exchange(received, closed=False)
    except ConnectionError:
        return Exchange(received, closed=True)
    finally:
        writer.close()


def frame(opcode: int, data: bytes = b"", *, final: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """Returns a frame of a WebSocket as a client would send it, or should not."""
    head = bytes([final << 7 | reserved << 4 | opcode])
    size = len(data)
    mark = masked << 7
    if size < 126:
        head += bytes([mark | size])
    elif size < 65536:
        head += bytes([mark | 126]) + struct.pack(">H", size)
    else:
        head += bytes([mark | 127]) + struct.pack(">Q", size)
    if not masked:
        return head + data
    key = os.urandom(4)
    wide = key * (size // 4 + 1)
    return head + key + (int.from_bytes(data, "big") ^ int.from_bytes(wide[:size], "big")).to_bytes(size, "big")


async def opened(port: int, handshake: bytes = HANDSHAKE) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Returns a WebSocket whose handshake is done."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(handshake)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
    assert head.startswith(b"HTTP/1.1 101 "), head
    return reader, writer
