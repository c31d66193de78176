"""What a page of another site may do here, as a browser enforces it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Page
from unit.transport.http_server.support import Streams

from kratos import App, Call, HTTPServer
from kratos.transport.http import CORS, handle
from kratos.wire.google.api.httpbody_pb import HttpBody

pytestmark = pytest.mark.browser


async def blank(request: HttpBody, call: Call) -> HttpBody:
    return HttpBody(content_type="text/html", data=b"<!doctype html><title>elsewhere</title>")


@asynccontextmanager
async def elsewhere(page: Page, *, allowed: bool) -> AsyncIterator[str]:
    """Opens a page of one server, and yields the address of another one that allows it to call, or does not."""
    there = HTTPServer("127.0.0.1:0", routes=[handle("GET", "/page", blank)])
    async with App(name="there", servers=[there]):
        origins = [there.endpoint] if allowed else ["https://shop.example"]
        cors = CORS(origins=origins, credentials=True, expose=["x-room"])
        here = HTTPServer("127.0.0.1:0", cors=cors)
        async with App(name="here", services=[Streams()], servers=[here]):
            await page.goto(f"{there.endpoint}/page")
            yield here.endpoint


async def fetch(page: Page, url: str, **options: Any) -> Any:
    """Returns what a script of the page gets, or what it is told instead."""
    return await page.evaluate(
        """([url, options]) => fetch(url, options).then(
            async answer => ({status: answer.status, room: answer.headers.get("x-room"), body: await answer.text()}),
            failure => failure.name)""",
        [url, options],
    )


POST = {"method": "POST", "headers": {"content-type": "application/json", "x-mine": "1"}, "body": '{"text": "a"}'}


async def test_an_allowed_page(page: Page) -> None:
    """It reads replies, errors of handlers and of routing, and streams; with cookies, and with a preflight."""
    async with elsewhere(page, allowed=True) as url:
        plain = await fetch(page, f"{url}/echo/a", credentials="include")
        asked = await fetch(page, f"{url}/echo", **POST)
        missing = await fetch(page, f"{url}/nope")
        failed = await fetch(page, f"{url}/echo/late", credentials="include")
        streamed = await fetch(page, f"{url}/watch/a?count=2")
        socket = await page.evaluate(
            """url => new Promise(done => {
                const socket = new WebSocket(url);
                socket.onopen = () => { socket.close(); done("open"); };
                socket.onerror = () => done("refused");
            })""",
            f"{url.replace('http', 'ws', 1)}/chat/blue",
        )
    assert (plain["status"], asked["status"], missing["status"], failed["status"]) == (200, 200, 404, 403)
    assert "LATE" in failed["body"]
    assert (streamed["room"], streamed["body"].count("event: message")) == ("blue", 2)
    assert socket == "open"


async def test_any_other_page(page: Page) -> None:
    """It reads nothing, and what needs a preflight is never sent."""
    async with elsewhere(page, allowed=False) as url:
        for path, options in (("/echo/a", {}), ("/echo", POST), ("/nope", {}), ("/watch/a?count=2", {})):
            assert await fetch(page, f"{url}{path}", **options) == "TypeError"
        refused = await page.evaluate(
            """url => new Promise(done => {
                const socket = new WebSocket(url);
                socket.onopen = () => done("open");
                socket.onerror = () => done("refused");
            })""",
            f"{url.replace('http', 'ws', 1)}/chat/blue",
        )
    assert refused == "refused"
