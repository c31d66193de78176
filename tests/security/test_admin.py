"""The admin port: others get three probes and nothing else, and no page tells a secret."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any

import pytest
from adminport import OWN, WORD, Answer, ask, outside
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterClient, GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest

from kratos import AdminServer, App, Call, GRPCClient, GRPCServer, HTTPClient, HTTPServer, Shutdown
from kratos.admin import Check
from kratos.config import Config, Values
from kratos.errors import NotFound

SECRET = "hunter2Swordfish77"  # noqa: S105 - the point of it
"""What is planted everywhere."""

PROBES = ("/healthz", "/readyz", "/metrics")


class Greeter(GreeterService):
    """Answers when it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.entered = asyncio.Semaphore(0)

    async def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:
        password = request.name
        call.fields["password"] = call.state["token"] = password
        call.reply.headers.set("x-token", password)
        self.entered.release()
        await self.go.wait()
        raise NotFound(f"{password} is wrong")


@dataclass(frozen=True)
class Entry:
    """A value of a configuration that has forgotten to mask it."""

    key: str
    value: Any
    place: object = "config.yaml:3"


class Settings:
    """A configuration that has forgotten to mask anything."""

    refused: BaseException | None = ValueError(SECRET)

    def entries(self, key: str = "", /) -> Iterable[Entry]:
        return [Entry("db.url", f"postgres://shop:{SECRET}@db/shop"), Entry("db.dsn", f"host=db password={SECRET}")]


async def away() -> None:
    raise ConnectionError(f"no such user {SECRET}")


@asynccontextmanager
async def serving(address: str, greeter: Greeter | None = None, **options: Any) -> AsyncGenerator[AdminServer]:
    admin = AdminServer(address, **options)
    app = App(
        name="shop",
        version="1.2",
        services=[greeter or Greeter()],
        servers=[HTTPServer("127.0.0.1:0"), GRPCServer("127.0.0.1:0"), admin],
        metadata={"password": SECRET},
        shutdown=Shutdown(drain=0, finish=5),
    )
    async with app:
        yield admin


def known(admin: AdminServer) -> list[str]:
    """Returns every path that there is, of pages and of files."""
    pages = [route.path for route in admin.routes if route.path not in PROBES]
    files = ["/docs", "/docs/", "/docs/start.js", "/docs/swagger-ui.css", "/openapi.json", "/admin.css", "/index.json"]
    return [*pages, *(f"{page}.json" for page in pages if page != "/"), *files, "/debug/profile/stacks.txt"]


def bare(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """Returns an answer without what differs from second to second."""
    return answer.status, {name: each for name, each in answer.headers.items() if name != "date"}, answer.body


async def test_from_another_address_only_the_probes_answer() -> None:
    """Whoever comes from elsewhere sees three probes; all else looks the same as what does not exist."""
    elsewhere = outside()
    async with serving("0.0.0.0:0") as admin:
        for path in PROBES:
            for method in ("GET", "HEAD"):
                assert (await ask(admin.endpoint, path, at=elsewhere, method=method)).status == 200, path
        nothing = await ask(admin.endpoint, "/there/is/no/such/page", at=elsewhere)
        assert nothing.status == 404
        tricks: list[tuple[str, ...]] = [
            (), ("x-forwarded-for: 127.0.0.1",), ("x-real-ip: 127.0.0.1",), ("forwarded: for=127.0.0.1",),
            ("authorization: Bearer x",), OWN, ("cookie: token=x",),
        ]  # fmt: skip
        for path in known(admin):
            for host in (None, "localhost", "127.0.0.1"):
                answer = await ask(admin.endpoint, path, at=elsewhere, host=host)
                assert bare(answer) == bare(nothing), path
            assert (await ask(admin.endpoint, path)).status in (200, 307) or path.endswith(".txt"), path
        for trick in tricks:
            answer = await ask(admin.endpoint, "/health", *trick, at=elsewhere, host="localhost")
            assert bare(answer) == bare(nothing), trick
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            for path in (*PROBES, "/debug/log", "/debug/profile", "/"):
                form = "logger=root&level=DEBUG"
                answer = await ask(admin.endpoint, path, *OWN, at=elsewhere, method=method, form=form)
                assert bare(answer) == bare(nothing), (method, path)
        for path in ("/healthz/", "/healthz/../health", "/healthz?/health", "/metrics/x", "//healthz", "/%2e/health"):
            answer = await ask(admin.endpoint, path, at=elsewhere)
            assert answer.status in (200, 400, 404), path
            assert b"checks" not in answer.body


async def test_the_token_opens_from_anywhere() -> None:
    """With the token all pages answer; a wrong one, or one in the URL, is as good as none."""
    elsewhere = outside()
    async with serving("0.0.0.0:0", token=WORD) as admin:
        right = f"authorization: Bearer {WORD}"
        assert (await ask(admin.endpoint, "/build", right, at=elsewhere)).status == 200
        level = "logger=kratos.test_token&level=DEBUG"
        answer = await ask(admin.endpoint, "/debug/log", right, at=elsewhere, method="POST", form=level)
        assert answer.status == 303
        logging.getLogger("kratos.test_token").setLevel(logging.NOTSET)
        for wrong in ((), (f"authorization: Bearer {WORD}x",), (f"authorization: Basic {WORD}",), (right, right)):
            assert (await ask(admin.endpoint, "/build", *wrong, at=elsewhere)).status == 404
        for path in (f"/build?token={WORD}", f"/build?access_token={WORD}"):
            assert (await ask(admin.endpoint, path, at=elsewhere)).status == 404
        assert WORD not in (await ask(admin.endpoint, "/", right)).text


async def test_a_wrong_host_is_refused() -> None:
    """A page of another site that has this address under its own name gets what does not exist."""
    async with serving("127.0.0.1:0", hosts=["ops.internal"]) as admin:
        nothing = await ask(admin.endpoint, "/there/is/no/such/page", host="evil.example")
        for path in known(admin):
            for host in ("evil.example", "evil.example:9100", "localhost.evil.example", "10.0.0.7"):
                assert bare(await ask(admin.endpoint, path, host=host)) == bare(nothing), path
        target = "http://localhost/health"
        assert (await ask(admin.endpoint, target, host="evil.example")).status in (400, 404)
        assert (await ask(admin.endpoint, "/health", "host: evil.example", host="localhost")).status in (400, 404)
        for host in ("localhost", "ops.internal:9100", "[::1]:9100", "127.0.0.1"):
            assert (await ask(admin.endpoint, "/health", host=host)).status == 200
        assert (await ask(admin.endpoint, "/healthz", host="evil.example")).status == 200


async def test_pages_of_other_sites_change_nothing() -> None:
    """A form of another site, sent by the browser of somebody on this machine, is refused."""
    async with serving("127.0.0.1:0") as admin:
        host = admin.endpoint.removeprefix("http://")
        for path, form in (("/debug/log", "logger=root&level=DEBUG"), ("/debug/profile", "seconds=1")):
            for headers in (
                (), ("origin: http://evil.example",), ("origin: null",), ("sec-fetch-site: cross-site",),
                ("sec-fetch-site: same-site", f"origin: http://{host}"), (f"origin: https://{host}",),
                ("origin: http://127.0.0.1:1",), ("referer: http://127.0.0.1/",),
            ):  # fmt: skip
                answer = await ask(admin.endpoint, path, *headers, method="POST", form=form)
                assert (answer.status, answer.json()["reason"]) == (403, "CROSS_ORIGIN"), (path, headers)
            read = await ask(admin.endpoint, f"{path}?{form}")
            assert read.status == 200
        assert (await ask(admin.endpoint, "/debug/profile.json")).json()["running"] is False
        asked = ("origin: http://evil.example", "access-control-request-method: POST")
        preflight = await ask(admin.endpoint, "/debug/log", *asked, method="OPTIONS")
        assert not [name for name in preflight.headers if name.startswith("access-control-")]


LINK = re.compile(r"""(?:href|src|action)="([^"]*)\"""")


async def crawl(admin: AdminServer) -> dict[str, Answer]:
    """Follows every link of every page."""
    found: dict[str, Answer] = {}
    waiting = ["/", *known(admin), *PROBES]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        answer = found[path] = await ask(admin.endpoint, path)
        if answer.headers.get("content-type", "").startswith("text/html"):
            links = [unescape(each) for each in LINK.findall(answer.text)]
            assert not [each for each in links if ":" in each and each != "data:,"], (path, links)
            waiting += [each for each in links if each.startswith("/")]
    return found


async def test_no_page_tells_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret in configuration, environment, headers, requests, errors, names of tasks and threads is nowhere."""
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    monkeypatch.setattr("sys.argv", ["shop", f"--password={SECRET}"])
    over = threading.Event()
    thread = threading.Thread(target=over.wait, name=f"db://shop:{SECRET}@db", daemon=True)
    thread.start()
    task_names = (f"fetch token={SECRET}", f"GET https://shop:{SECRET}@db/", f"with Bearer {SECRET}", SECRET)
    tasks = [asyncio.create_task(asyncio.Event().wait(), name=name) for name in task_names]
    checks = [Check(name="db", run=away)]
    greeter = Greeter()
    values = {
        "db": {"password": SECRET, "url": f"postgres://shop:{SECRET}@db/shop", "dsn": f"host=db password={SECRET}"}
    }
    config = await Config.load(Values(values))
    async with serving("127.0.0.1:0", greeter, token=f"{SECRET}{SECRET}", config=config, checks=checks) as admin:
        rows = (await ask(admin.endpoint, "/index.json")).json()["endpoints"]
        urls = [row["endpoint"] for row in rows]
        headers = {"authorization": f"Bearer {SECRET}", "x-md-token": SECRET, "cookie": f"session={SECRET}"}
        async with HTTPClient(urls[0], timeout=60) as first, GRPCClient(urls[1], timeout=60) as second:
            calls = [
                asyncio.create_task(GreeterClient(each).say_hello(HelloRequest(name=SECRET), headers=headers))
                for each in (first, second)
            ]
            for _ in calls:
                await greeter.entered.acquire()
            await ask(admin.endpoint, "/debug/profile", *OWN, method="POST", form="seconds=0.2")
            async with asyncio.timeout(30):
                while (await ask(admin.endpoint, "/debug/profile.json")).json()["running"]:
                    await asyncio.sleep(0.02)
            found = await crawl(admin)
            greeter.go.set()
            for call in calls:
                with pytest.raises(NotFound):
                    await call
        found |= await crawl(admin)
    for task in tasks:
        task.cancel()
    over.set()
    thread.join()
    assert len(found) > 30
    assert {path: each.status for path, each in found.items() if each.status not in (200, 307)} == {}
    told = [path for path, answer in found.items() if SECRET in answer.body.decode() or SECRET in str(answer.headers)]
    assert told == []
    assert "fetch token=***" in found["/debug/tasks"].text
    assert "postgres://shop:***@db/shop" in found["/config"].text


async def test_a_configuration_that_masks_nothing() -> None:
    """Pages mask what they are given once more."""
    async with serving("127.0.0.1:0", config=Settings()) as admin:
        for path in ("/config", "/config.json"):
            assert SECRET not in (await ask(admin.endpoint, path)).text


async def test_what_is_shown_is_escaped() -> None:
    """Names that look like HTML are text."""
    name = "<script>alert(1)</script>\"'&"
    task = asyncio.create_task(asyncio.Event().wait(), name=name)
    admin = AdminServer("127.0.0.1:0", checks=[Check(name=name, run=away)])
    logging.getLogger(name).setLevel(logging.ERROR)
    app = App(name=name, version=name, servers=[admin], shutdown=Shutdown(drain=0))
    async with app:
        found = await crawl(admin)
    task.cancel()
    logging.getLogger(name).setLevel(logging.NOTSET)
    shown = [path for path, each in found.items() if "&lt;script&gt;" in each.text]
    assert {"/", "/health", "/debug/tasks", "/debug/log", "/build"} <= set(shown)
    for path, answer in found.items():
        if answer.headers.get("content-type", "").startswith("text/html"):
            assert "<script>" not in answer.text, path
