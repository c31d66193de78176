"""A gibibyte up and a gibibyte down pass through little memory; who leaves in the middle leaves nothing behind."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from catalogue.process import ServerProcess, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

MIB = 2**20
GIB = 2**30
ALLOWED = 64 * MIB
PATIENCE = 120.0


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    """The process under test."""
    with running(script=Path(__file__).with_name("transferring.py")) as process:
        state(process)  # what is loaded by the first call
        yield process
        process.check()


def connected(server: ServerProcess, head: bytes) -> socket.socket:
    """Returns a connection on which a request has begun."""
    client = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
    client.sendall(head + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n")
    return client


def received(client: socket.socket) -> bytes:
    """Reads to the end."""
    return b"".join(iter(lambda: client.recv(MIB), b""))


def state(server: ServerProcess) -> Any:
    """Returns what the server tells."""
    with connected(server, b"GET /state") as client:
        client.sendall(b"\r\n")
        return json.loads(received(client).partition(b"\r\n\r\n")[2])


def begin_upload(server: ServerProcess, size: int) -> socket.socket:
    client = connected(server, b"POST /file")
    client.sendall(b"Content-Length: %d\r\n\r\n" % GIB)
    for _ in range(size // MIB):
        client.sendall(bytes(MIB))
    return client


def begin_download(server: ServerProcess, size: int) -> tuple[socket.socket, int]:
    """Reads as much of a download, or all of it; returns the bytes of the body and its chunks."""
    client = connected(server, b"GET /file")
    client.sendall(b"\r\n")
    count = 0
    buffer = bytearray(MIB)
    while count < size and (read := client.recv_into(buffer)):
        count += read
    return client, count


def test_upload(server: ServerProcess) -> None:
    """A body of a gibibyte is read as it comes."""
    before = server.forget()
    with begin_upload(server, GIB) as client:
        assert received(client).endswith(b"\r\n\r\n%d" % GIB)
    growth = server.peak() - before
    print(f"upload: {growth / MIB:.1f} MiB")
    assert growth < ALLOWED


def test_download(server: ServerProcess) -> None:
    """A reply of a gibibyte goes out as it is made."""
    before = server.forget()
    client, count = begin_download(server, 2 * GIB)
    client.close()
    growth = server.peak() - before
    print(f"download: {growth / MIB:.1f} MiB")
    assert count > GIB
    assert growth < ALLOWED


@pytest.mark.parametrize("way", ["up", "down"])
def test_leaving_in_the_middle(server: ServerProcess, way: str) -> None:
    """Who leaves has the handler cancelled, and its task, its file and its memory are free."""
    base = state(server)
    files, memory = server.files(), server.resident()
    for _ in range(5):
        client = begin_upload(server, 50 * MIB) if way == "up" else begin_download(server, 50 * MIB)[0]
        client.close()
    end = time.monotonic() + PATIENCE
    while (told := state(server))["code"] < base["code"] + 5 or server.files() > files:
        assert time.monotonic() < end, (told, server.files())
    assert told["metadata"]["tasks"] == base["metadata"]["tasks"]
    assert server.resident() - memory < ALLOWED
