"""The admin pages as somebody sees them: from the server alone, without scripts, in light and in dark; they work."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import pytest
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterClient, GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest
from playwright.async_api import Browser, Page, Request, expect

from kratos import AdminServer, App, Call, GRPCServer, HTTPClient, HTTPServer, Shutdown
from kratos.admin import Check

pytestmark = pytest.mark.browser


class Greeter(GreeterService):
    def __init__(self) -> None:
        self.entered, self.go = asyncio.Event(), asyncio.Event()

    async def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:
        self.entered.set()
        await self.go.wait()
        return HelloReply(message=f"Hello {request.name}")


async def well() -> None:
    pass


async def away() -> None:
    raise ConnectionError("away")


def shop(greeter: Greeter, admin: AdminServer) -> App:
    servers = [HTTPServer("127.0.0.1:0"), GRPCServer("127.0.0.1:0"), admin]
    return App(name="shop", version="1.2", services=[greeter], servers=servers, shutdown=Shutdown(drain=0))


def listened(page: Page, here: str) -> tuple[list[str], list[str]]:
    """Returns what a page asks of others, and what it complains of; both go on."""
    elsewhere: list[str] = []
    complaints: list[str] = []

    def asked(request: Request) -> None:
        if not request.url.startswith((here, "data:", "blob:")):
            elsewhere.append(request.url)

    page.on("request", asked)
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda failure: complaints.append(str(failure)))
    return elsewhere, complaints


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_is_seen(browser: Browser, scheme: str, tmp_path: Path) -> None:
    """Each page is there and fits, asks nobody else for anything, and nothing is complained of."""
    greeter = Greeter()
    admin = AdminServer("127.0.0.1:0", checks=[Check(name="database", run=well), Check(name="cache", run=away)])
    page = await browser.new_page(color_scheme="dark" if scheme == "dark" else "light")
    pictures = Path(os.environ.get("SCREENSHOTS", tmp_path))
    async with shop(greeter, admin) as app, HTTPClient(app.info.endpoints[0], timeout=60) as conn:
        call = asyncio.create_task(GreeterClient(conn).say_hello(HelloRequest(name="browser")))
        await greeter.entered.wait()
        elsewhere, complaints = listened(page, admin.endpoint)
        await page.goto(admin.endpoint)
        links = await page.locator("nav a").all()
        paths = [await link.get_attribute("href") or "" for link in links]
        assert len(paths) > 8
        for path in [*paths, "/docs"]:
            await page.goto(f"{admin.endpoint}{path}")
            if path == "/docs":
                await expect(page.get_by_text("/helloworld/{name}").first).to_be_visible()
            else:
                await expect(page.locator("nav a[aria-current]")).to_have_count(1)
                wide = await page.evaluate(
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                )
                assert wide == 0, path
                back = await page.evaluate("getComputedStyle(document.body).backgroundColor")
                assert back == ("rgb(18, 22, 28)" if scheme == "dark" else "rgb(246, 247, 249)")
            name = path.strip("/").replace("/", "-") or "overview"
            await page.screenshot(path=pictures / f"{name}-{scheme}.png", full_page=True)
        greeter.go.set()
        await call
    await page.close()
    assert (elsewhere, complaints) == ([], [])


async def test_buttons_work_without_scripts(browser: Browser, tmp_path: Path) -> None:
    """A level is switched and a profile is taken by the pages' own buttons, where the browser runs no scripts."""
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    admin = AdminServer("127.0.0.1:0")
    logger = logging.getLogger("kratos.test_browser")
    async with shop(Greeter(), admin):
        elsewhere, complaints = listened(page, admin.endpoint)
        await page.goto(f"{admin.endpoint}/debug/log")
        await page.get_by_label("logger").fill("kratos.test_browser")
        await page.get_by_label("level").select_option("ERROR")
        await page.get_by_role("button", name="set").click()
        await expect(page.get_by_role("row", name="kratos.test_browser")).to_contain_text("ERROR")
        assert logger.level == logging.ERROR
        logger.setLevel(logging.NOTSET)
        await page.get_by_role("link", name="CPU profile").click()
        await page.get_by_label("seconds").fill("0.5")
        await page.get_by_role("button", name="take a profile").click()
        await expect(page.locator("svg")).to_be_visible(timeout=30_000)
        await page.screenshot(path=Path(os.environ.get("SCREENSHOTS", tmp_path)) / "profile-taken.png", full_page=True)
    await context.close()
    assert (elsewhere, complaints) == ([], [])


async def test_a_page_of_another_site_can_do_nothing(browser: Browser) -> None:
    """Scripts of another origin in the same browser read nothing, change nothing, and show nothing in a frame."""
    admin, evil = AdminServer("127.0.0.1:0"), HTTPServer("127.0.0.1:0", services=[Greeter()])
    logger = logging.getLogger("kratos.test_evil")
    page = await browser.new_page()
    async with shop(Greeter(), admin), App(name="evil", servers=[evil], shutdown=Shutdown(drain=0)):
        await page.goto(f"{evil.endpoint}/healthz")
        script = """async (admin) => {
            const said = [];
            for (const [path, options] of [
                ["/build.json", {}],
                ["/build.json", {mode: "no-cors"}],
                ["/debug/log", {method: "POST", headers: {"x-kratos-admin": "1"},
                    body: new URLSearchParams({logger: "kratos.test_evil", level: "ERROR"})}],
                ["/debug/log", {method: "POST", mode: "no-cors",
                    body: new URLSearchParams({logger: "kratos.test_evil", level: "ERROR"})}],
            ]) {
                try { said.push((await (await fetch(admin + path, options)).text()).length); }
                catch (failure) { said.push(failure.name); }
            }
            return said;
        }"""
        said = await page.evaluate(script, admin.endpoint)
        assert [each for each in said if each not in ("TypeError", 0)] == []
        frame = "admin => { const f = document.createElement('iframe'); f.src = admin; document.body.append(f); }"
        await page.evaluate(frame, admin.endpoint)
        await page.wait_for_load_state("networkidle")
        assert not [each for each in page.frames if await each.get_by_text("overview").count()]
        await page.evaluate(
            """admin => { const f = document.createElement('form'); f.method = 'post'; f.action = admin + '/debug/log';
            f.innerHTML = '<input name=logger value=kratos.test_evil><input name=level value=ERROR>';
            document.body.append(f); f.submit(); }""",
            admin.endpoint,
        )
        await expect(page.locator("body")).to_contain_text("CROSS_ORIGIN")
    await page.close()
    assert logger.level == logging.NOTSET
