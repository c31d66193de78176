"""The docs page as somebody sees it: it comes from the server alone, and its button sends a request."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path

import pytest
import uvicorn
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest
from playwright.async_api import Page, Request, expect
from starlette.applications import Starlette

from kratos import App, Call, HTTPServer

pytestmark = pytest.mark.browser


class Greeter(GreeterService):
    async def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:
        return HelloReply(message=f"Hello {request.name}")


async def send_from(page: Page) -> None:
    """Opens the operation and sends a request by the page's own buttons."""
    await page.get_by_text("/helloworld/{name}").first.click()
    await page.get_by_role("button", name="Try it out").click()
    await page.get_by_placeholder("name").fill("browser")
    async with page.expect_response("**/helloworld/browser") as answered:
        await page.get_by_role("button", name="Execute").click()
    answer = await answered.value
    assert (answer.status, json.loads(await answer.body())) == (200, {"message": "Hello browser"})


async def test_the_page_shows_the_contract_and_sends_a_request(
    page: Page, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The operation is there, "Execute" gets the reply, and nothing is asked of any other host."""
    monkeypatch.setenv("KRATOS_ENV", "development")
    requests: list[Request] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request))  # noqa: PLW0108 - it cannot mark a builtin
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda failure: complaints.append(str(failure)))
    server = HTTPServer("127.0.0.1:0")
    async with App(name="helloworld", version="1.0.0", services=[Greeter()], servers=[server]):
        here = server.endpoint
        await page.goto(f"{here}/docs")
        await expect(page).to_have_title("helloworld")
        await send_from(page)
        await expect(page.locator(".live-responses-table")).to_contain_text("Hello browser")
        await page.screenshot(path=os.environ.get("SCREENSHOT", tmp_path / "docs.png"), full_page=True)
    elsewhere = [each.url for each in requests if not each.url.startswith((here, "data:", "blob:"))]
    assert (elsewhere, complaints) == ([], [])


async def test_the_page_works_below_a_prefix(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that strips a prefix, or an application that mounts ours, does not break it."""
    monkeypatch.setenv("KRATOS_ENV", "development")
    ours = HTTPServer(None, services=[Greeter()])
    App(name="helloworld", servers=[ours])
    outer = Starlette()
    outer.mount("/api", ours.asgi)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    runner = uvicorn.Server(uvicorn.Config(outer, log_config=None, access_log=False))
    task = asyncio.create_task(runner._serve([listener]))
    try:
        async with asyncio.timeout(30):
            while not runner.started:
                await asyncio.sleep(0.01)
        await page.goto(f"http://127.0.0.1:{listener.getsockname()[1]}/api/docs")
        await send_from(page)
    finally:
        runner.should_exit = True
        await task
