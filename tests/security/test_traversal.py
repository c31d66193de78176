"""Paths that want to lead elsewhere: a value is a value, decoded once, and stays on its route."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from catalogue.service import Asked, services
from fixtures.gen.catalog.v1.catalog_pb import GetBookRequest, GetPageRequest, MoveBookRequest

from kratos.call import AppInfo
from kratos.live import Live
from kratos.transport.http import HTTPServer
from security.wire import exchange

pytestmark = pytest.mark.usefixtures("engine")  # over both fronts, with the same answers


@asynccontextmanager
async def catalogue(asked: Asked) -> AsyncIterator[int]:
    """Serves the catalogue; yields its port."""
    server = HTTPServer("127.0.0.1:0")
    server.mount(services(asked), (), AppInfo(name="catalogue", readiness=Live(value=True)))
    await server.start()
    try:
        yield int(server.endpoint.rpartition(":")[2])
    finally:
        await server.stop(1)


VALUES: dict[str, Any] = {
    "/v1/books/%2e%2e": GetBookRequest(id=".."),
    "/v1/books/..": GetBookRequest(id=".."),
    "/v1/books/.": GetBookRequest(id="."),
    "/v1/books/%2e%2e%2fsecret": GetBookRequest(id="../secret"),
    "/v1/books/..%5csecret": GetBookRequest(id="..\\secret"),
    "/v1/books/%252e%252e%252f": GetBookRequest(id="%2e%2e%2f"),
    "/v1/books/a%00.png": GetBookRequest(id="a\x00.png"),
    "/v1/books/a;b=c": GetBookRequest(id="a;b=c"),
    "/v1/books/%3fid=x": GetBookRequest(id="?id=x"),
    "/v1/books/%zz": GetBookRequest(id="%zz"),
    "/v1/books/%": GetBookRequest(id="%"),
    "/v1/books/a%0d%0ab": GetBookRequest(id="a\r\nb"),
    "/v1/pages/../books/x": GetPageRequest(path="../books/x"),
    "/v1/pages/%2e%2e/books/x": GetPageRequest(path="../books/x"),
    "/v1/pages/..%2f..%2fetc/passwd": GetPageRequest(path="..%2f..%2fetc/passwd"),
    "/v1/pages/%2fetc%2fpasswd": GetPageRequest(path="%2fetc%2fpasswd"),
    "/v1/pages//etc/passwd": GetPageRequest(path="/etc/passwd"),
    "/v1/pages/a//b": GetPageRequest(path="a//b"),
    "/v1/pages/a/./b/": GetPageRequest(path="a/./b/"),
    "/v1/pages/..%5c..%5cwindows": GetPageRequest(path="..\\..\\windows"),
    "/v1/pages/..\\..\\windows": GetPageRequest(path="..\\..\\windows"),
    "/v1/pages/a%00b": GetPageRequest(path="a\x00b"),
    "/v1/pages/%25%32%65": GetPageRequest(path="%2e"),
    "/v1/pages/caf%C3%A9": GetPageRequest(path="café"),
}


@pytest.mark.parametrize("path", list(VALUES))
async def test_a_value_is_what_was_sent(path: str) -> None:
    """Dots, slashes, NUL and escapes of escapes are part of a value, decoded once."""
    asked: Asked = []
    async with catalogue(asked) as port:
        got = await exchange(port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode("latin-1"))
    assert got.statuses == [200], got.data
    assert asked == [VALUES[path]]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/books/%c0%ae%c0%ae",  # overlong forms of dots and slashes
        "/v1/books/%e0%80%ae",
        "/v1/books/%f0%80%80%ae",
        "/v1/pages/%c0%af..%c0%afetc",
        "/v1/books/%ff",
        "/v1/books/%ed%a0%80",  # half of a surrogate pair
        "/v1/books/%f4%90%80%80",  # beyond Unicode
        "/v1/pages/%c3/%a9",  # a letter across a slash
    ],
)
async def test_what_is_no_text_is_refused(path: str) -> None:
    """Bytes that are not UTF-8, as decoders of old took them, are a 400."""
    asked: Asked = []
    async with catalogue(asked) as port:
        got = await exchange(port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert got.statuses == [400], got.data
    assert b"BAD_PATH" in got.data
    assert asked == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/books/../now", "/v1/./now", "//v1/now", "/v1//now", "/v1/now/", "/v1/now;x", "/v1/now%2f", "/v1%2fnow",
        "/V1/now", "/v1\\now", "/v1/now%00", "/v1/existing/x", "/%2e%2e/v1/now", "/v1/now%20", "/v1/books:Search",
    ],
)  # fmt: skip
async def test_a_path_is_taken_by_the_letter(path: str) -> None:
    """Nothing is cleaned up: what a proxy in front has not let through, another spelling does not reach either."""
    asked: Asked = []
    async with catalogue(asked) as port:
        got = await exchange(port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert got.statuses in ([404], [405]), got.data
    assert asked == []


async def test_segments_cannot_be_smuggled_into_a_pattern() -> None:
    """An escaped slash fills one segment, and stays escaped where several make a value."""
    asked: Asked = []
    async with catalogue(asked) as port:
        head = b"HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
        for path in (b"shelves/a%2fbooks/b", b"shelves/a/books/b%2f..%2f..", b"shelves/a%2fb/books/.."):
            await exchange(port, b"POST /v1/" + path + b":move " + head + b"Connection: close\r\n\r\n{}")
    assert asked == [
        MoveBookRequest(name="shelves/a/books/b%2f..%2f.."),
        MoveBookRequest(name="shelves/a%2fb/books/.."),
    ]
