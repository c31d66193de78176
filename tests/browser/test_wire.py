"""What a browser makes of our wire: events, WebSockets, forms with files, from a page that we serve."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fixtures.gen.fixture.upload.v1.upload_pb import Album
from playwright.async_api import FilePayload, Page, expect
from unit.transport.http_server.support import Streams, until

from kratos import App, Call, HTTPServer
from kratos.codec import DEFAULT_CODECS, MultipartCodec
from kratos.operation import Http, Unary
from kratos.service import Service
from kratos.transport.http import handle
from kratos.wire.google.api.httpbody_pb import HttpBody

pytestmark = pytest.mark.browser

FORM = """<!doctype html><title>form</title><form method="post" action="/albums" enctype="multipart/form-data">
<input name="title"><input name="pageCount"><input type="file" name="photos" multiple><button>Send</button></form>"""


async def form(request: HttpBody, call: Call) -> HttpBody:
    return HttpBody(content_type="text/html; charset=utf-8", data=FORM.encode())


class Albums(Service):
    """Keeps what it is sent."""

    __operations__ = (("add", Unary("/b.v1.Albums/Add", Album, Album, http=(Http("POST", "/albums", body="*"),))),)

    def __init__(self) -> None:
        self.albums: list[Album] = []

    async def add(self, request: Album, call: Call) -> Album:
        self.albums.append(request)
        return Album(title=request.title)


@asynccontextmanager
async def served(page: Page, *services: Service) -> AsyncIterator[str]:
    """Serves, and opens the page with the form: what scripts do then comes from the same origin."""
    codecs = DEFAULT_CODECS.with_(MultipartCodec())
    server = HTTPServer("127.0.0.1:0", codecs=codecs, routes=[handle("GET", "/form", form)], heartbeat=0.2)
    async with App(name="wire", services=services, servers=[server]):
        await page.goto(f"{server.endpoint}/form")
        yield server.endpoint


async def run(page: Page, script: str) -> Any:
    """Returns what a script resolves to."""
    return await page.evaluate(f"() => new Promise((done, fail) => {{{script}}})")


async def test_event_source(page: Page) -> None:
    """``EventSource`` reads replies, survives silence, and hears of a failure with all that it says."""
    async with served(page, Streams()):
        found = await run(
            page,
            """
            const seen = [], source = new EventSource("/watch/late?count=3");
            source.onmessage = event => seen.push(JSON.parse(event.data).count);
            source.addEventListener("error", event => {
                if (!event.data) return;
                source.close();
                done({seen, error: JSON.parse(event.data)});
            });
            """,
        )
    assert found["seen"] == [0, 1, 2]
    assert (found["error"]["reason"], found["error"]["metadata"]) == ("LATE", {"k": "v"})


async def test_event_source_is_closed(page: Page) -> None:
    """A page that closes its ``EventSource`` cancels the handler."""
    service = Streams()
    async with served(page, service):
        await run(
            page,
            """
            const source = new EventSource("/watch/hang?count=1");
            source.onmessage = () => { source.close(); done(); };
            """,
        )
        await until(service.cancelled.is_set, 10)


async def test_web_socket(page: Page) -> None:
    """Both directions at once, and an end that is clean."""
    async with served(page, Streams()):
        found = await run(
            page,
            r"""
            const seen = [], socket = new WebSocket(`ws://${location.host}/chat/blue`);
            socket.onopen = () => ['{"text": "a"}', '{"text": "ä"}', "\x1eend"].forEach(text => socket.send(text));
            socket.onmessage = event => seen.push(JSON.parse(event.data).text);
            socket.onclose = event => done({seen, code: event.code});
            """,
        )
    assert found == {"seen": ["a", "ä"], "code": 1000}


async def test_form_with_files(page: Page) -> None:
    """A plain form becomes a typed message, files with names in any script among it."""
    service = Albums()
    files: list[FilePayload] = [
        {"name": 'été "1".png', "mimeType": "image/png", "buffer": b"\x89PNG\r\n--"},
        {"name": "b.txt", "mimeType": "text/plain", "buffer": b""},
    ]
    async with served(page, service) as url:
        await page.locator("input[name=title]").fill("Café ☕")
        await page.locator("input[name=pageCount]").fill("12")
        await page.locator("input[type=file]").set_input_files(files)
        await page.get_by_role("button", name="Send").click()
        await expect(page.locator("body")).to_contain_text("Café ☕")
        await page.goto(f"{url}/form")
        await page.locator("input[name=title]").fill("empty")
        await page.get_by_role("button", name="Send").click()
        await expect(page.locator("body")).to_contain_text("empty")
    first, second = service.albums
    assert (first.title, first.page_count) == ("Café ☕", 12)
    assert [(photo.filename, photo.content_type, photo.data) for photo in first.photos] == [
        ('été "1".png', "image/png", b"\x89PNG\r\n--"),
        ("b.txt", "text/plain", b""),
    ]
    assert (second.title, second.page_count, list(second.photos)) == ("empty", 0, [])
