"""Asking the admin port by hand: what all its tests share."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

__all__ = ["OWN", "WORD", "Answer", "ask", "outside"]

WORD = "0123456789abcdef-word"
"""A token."""
OWN = ("x-kratos-admin: 1",)
"""What a request that changes something bears."""

_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


def outside() -> str:
    """Returns an address of this machine that is not loopback; a connection to it comes from it too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses a route
            address = str(probe.getsockname()[0])
        except OSError:
            address = "127.0.0.1"
    if address.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    return address


async def ask(
    endpoint: str,
    path: str,
    *headers: str,
    method: str = "GET",
    form: str | None = None,
    host: str | None = None,
    at: str | None = None,
) -> Answer:
    """Sends one request and returns the answer.

    Args:
        endpoint: The server, ``http://…`` or ``http+unix:…``.
        path: The request target, as it is.
        headers: Lines.
        method: The verb.
        form: The body.
        host: What to say in ``Host``; where it goes, if None; nothing at all, if empty.
        at: The address to connect to, if not that of the server.
    """
    lines = [f"{method} {path} HTTP/1.1", "connection: close", *headers]
    if endpoint.startswith("http+unix:"):
        reader, writer = await asyncio.open_unix_connection(endpoint.removeprefix("http+unix:"))
        name = "localhost"
    else:
        url = urlsplit(endpoint)
        assert url.hostname is not None
        name = at or ("127.0.0.1" if url.hostname.startswith("0.") else url.hostname)
        reader, writer = await asyncio.open_connection(name, url.port)
        name = f"{name}:{url.port}"
    lines += _hosts(name if host is None else host)
    body = (form or "").encode()
    if form is not None:
        lines += ["content-type: application/x-www-form-urlencoded", f"content-length: {len(body)}"]
    async with asyncio.timeout(_PATIENCE):
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        data = await reader.read()
    writer.close()
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    pairs = (field.partition(":") for field in fields)
    return Answer(int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}, rest)


def _hosts(host: str) -> Iterable[str]:
    return [f"host: {host}"] if host else []
