"""The admin server over real sockets: its pages, its life beside the app, and its bounds."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from adminport import OWN, ask
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterClient, GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest

from kratos import AdminServer, App, Call, GRPCClient, GRPCServer, HTTPClient, HTTPServer, Shutdown
from kratos.admin import Check
from kratos.config import Config, Values
from kratos.metrics import NoopMeter
from kratos.registry import Instance, MemoryRegistry

QUICK = Shutdown(drain=0, finish=5)


class Greeter(GreeterService):
    """Answers when it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.entered = asyncio.Semaphore(0)

    async def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:
        self.entered.release()
        await self.go.wait()
        return HelloReply(message=f"Hello {request.name}")


@asynccontextmanager
async def serving(admin: AdminServer, *services: GreeterService) -> AsyncGenerator[App]:
    app = App(
        name="shop",
        version="1.2",
        services=services or [Greeter()],
        servers=[HTTPServer("127.0.0.1:0"), admin],
        shutdown=QUICK,
    )
    async with app:
        yield app


async def test_every_page_answers_as_html_and_as_json() -> None:
    """Whatever the first page leads to is there, in both forms, with the same safe headers."""
    admin = AdminServer("127.0.0.1:0", config=await Config.load(Values({"server.port": 8000})))
    async with serving(admin):
        paths = [route.path for route in admin.routes if route.path not in ("/healthz", "/readyz", "/metrics")]
        assert len(paths) > 8
        for path in paths:
            page = await ask(admin.endpoint, path)
            assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8"), path
            for name in ("/index.json" if path == "/" else f"{path}.json", path):
                data = await ask(admin.endpoint, name, "accept: application/json")
                assert (data.status, data.headers["content-type"]) == (200, "application/json"), name
                assert isinstance(data.json(), dict)
            for answer in (page, data):
                assert answer.headers["cache-control"] == "no-store"
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
                assert "set-cookie" not in answer.headers
                assert not [name for name in answer.headers if name.startswith("access-control-")]
            head = await ask(admin.endpoint, path, method="HEAD")
            assert (head.status, head.body) == (200, b"")


async def test_probes_and_what_is_not_there() -> None:
    """Probes answer; other paths and other spellings of paths are our own 404, with no hint."""
    admin = AdminServer("127.0.0.1:0")
    async with serving(admin):
        assert (await ask(admin.endpoint, "/healthz")).json() == {"status": "ok"}
        assert (await ask(admin.endpoint, "/readyz", method="HEAD")).status == 200
        nothing = await ask(admin.endpoint, "/nothing")
        assert (nothing.status, nothing.json()["reason"]) == (404, "ROUTE_NOT_FOUND")
        others = (
            "/health/",
            "/%68ealth",
            "//health",
            "/Health",
            "/debug",
            "/debug/",
            "/metrics/",
            "/config",
            "/x.json",
        )
        for path in others:
            assert await _same(admin, path, nothing.body), path
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            assert (await ask(admin.endpoint, "/nothing", method=method)).status == 404
            assert (await ask(admin.endpoint, "/healthz", method=method)).status == 404
        assert (await ask(admin.endpoint, "/health", *OWN, method="POST", form="")).status == 405
        assert (await ask(admin.endpoint, "/debug/log", *OWN, method="PUT", form="")).status == 405


async def _same(admin: AdminServer, path: str, body: bytes) -> bool:
    answer = await ask(admin.endpoint, path)
    return (answer.status, answer.body) == (404, body)


async def test_websockets_are_refused() -> None:
    """No WebSocket is opened here, whoever asks."""
    admin = AdminServer("127.0.0.1:0")
    lines = ("upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==")
    async with serving(admin):
        for path in ("/", "/healthz", "/nothing"):
            assert (await ask(admin.endpoint, path, "connection: upgrade", *lines)).status == 403


async def test_health() -> None:
    """A check that counts takes the readiness away; the page says which one fails, and by what type of failure."""

    async def away() -> None:
        raise ConnectionError("password is hunter2")

    async def well() -> None:
        pass

    admin = AdminServer("127.0.0.1:0", checks=[Check(name="db", run=away, ready=True), Check(name="cache", run=well)])
    async with serving(admin):
        assert (await ask(admin.endpoint, "/readyz")).status == 503
        assert (await ask(admin.endpoint, "/healthz")).status == 200
        said = (await ask(admin.endpoint, "/health.json")).json()
        assert (said["ready"], said["accepts_calls"]) == (False, True)
        assert [(row["check"], row["well"], row["failed_by"]) for row in said["checks"]] == [
            ("db", False, "ConnectionError"), ("cache", True, ""),
        ]  # fmt: skip


async def test_whether_it_is_registered() -> None:
    """An app that is to be found in a registry has a check for that, which does not hold up readiness."""

    class Away(MemoryRegistry):
        async def register(self, instance: Instance, /) -> None:
            raise ConnectionRefusedError("no registry")

        async def aclose(self) -> None: ...

    for registry, well in ((MemoryRegistry(), True), (Away(), False)):
        admin = AdminServer("127.0.0.1:0")
        app = App(name="shop", servers=[admin], registrar=registry, shutdown=QUICK)
        async with app:
            (row,) = (await ask(admin.endpoint, "/health.json")).json()["checks"]
            assert (row["check"], row["well"]) == ("registry", well)
            assert row["failed_by"] == ("" if well else "NotRegistered")
            assert (await ask(admin.endpoint, "/readyz")).status == 200
    named = AdminServer("127.0.0.1:0", checks=[Check(name="registry", run=Away().aclose)])
    App(name="shop", servers=[named], registrar=Away())
    assert len(named._checkup.checks) == 1


async def test_config() -> None:
    """Each value is there with the place it is written in, and secrets are masked; it is the configuration of now."""
    values = {"db.password": "hunter2", "db.url": "postgres://shop:hunter2@db/shop", "debug": False, "names": [1, None]}
    config = await Config.load(Values(values))
    admin = AdminServer("127.0.0.1:0", config=config)
    async with serving(admin):
        answer = await ask(admin.endpoint, "/config.json")
        said = answer.json()
        assert {row["key"]: row["value"] for row in said["values"]} == {
            "db.password": "***", "db.url": "postgres://shop:***@db/shop", "debug": False, "names[0]": 1,
            "names[1]": None,
        }  # fmt: skip
        assert said["sources_count_as_they_are"] is True
        assert all(row["written_in"] for row in said["values"])
        assert "hunter2" not in answer.text + (await ask(admin.endpoint, "/config")).text


async def test_a_busy_pool_of_threads_keeps_no_page_waiting() -> None:
    """Handlers that block have all threads of the event loop; figures and versions come all the same."""
    admin, end = AdminServer("127.0.0.1:0"), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        async with serving(admin):
            blocked = asyncio.create_task(asyncio.to_thread(end.wait))
            try:
                async with asyncio.timeout(30):
                    for path in ("/metrics", "/build"):
                        assert (await ask(admin.endpoint, path)).status == 200
            finally:
                end.set()
            await blocked


async def test_metrics() -> None:
    """The app's meter is read in the format that the client asks for; what is asked of this port is not counted."""
    admin = AdminServer("127.0.0.1:0")
    async with serving(admin) as app:
        for endpoint in (admin.endpoint, app.info.endpoints[0]):
            assert (await ask(endpoint, "/nothing")).status == 404
        answer = await ask(admin.endpoint, "/metrics")
        assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        counted = [line for line in answer.text.splitlines() if line.startswith("server_requests_code_total")]
        assert counted == [
            'server_requests_code_total{code="404",kind="http",operation="unknown",reason="ROUTE_NOT_FOUND"} 1.0'
        ]
        answer = await ask(admin.endpoint, "/metrics", "accept: application/openmetrics-text")
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert 'href="/metrics"' in (await ask(admin.endpoint, "/")).text


async def test_a_meter_that_cannot_be_read() -> None:
    """There is no such page then, and no way to it."""
    admin = AdminServer("127.0.0.1:0")
    async with App(name="shop", servers=[admin], meter=NoopMeter(), shutdown=QUICK):
        assert await _same(admin, "/metrics", (await ask(admin.endpoint, "/nothing")).body)
        assert 'href="/metrics"' not in (await ask(admin.endpoint, "/")).text


async def test_the_admin_server_is_in_no_registry() -> None:
    """It is in the banner, and neither registered nor among the endpoints of the app."""
    registry = MemoryRegistry()
    admin = AdminServer("127.0.0.1:0")
    http = HTTPServer("127.0.0.1:0")
    app = App(name="shop", services=[Greeter()], servers=[admin, http], registrar=registry, shutdown=QUICK)
    banners: list[str] = []
    served = asyncio.Event()

    def announce(banner: str) -> None:
        banners.append(banner)
        served.set()

    task = asyncio.create_task(app.serve(announce=announce))
    await served.wait()
    try:
        assert app.info.endpoints == (http.endpoint,)
        assert admin.endpoint in banners[0]
        assert f"curl {http.endpoint}" in banners[0]
    finally:
        task.cancel()
        await asyncio.wait([task])


class Gated:
    """A server that starts and stops when it is let."""

    endpoint = "test://gated"
    summary = ""

    def __init__(self) -> None:
        self.begins = asyncio.Event()
        self.starts = asyncio.Event()
        self.ends = asyncio.Event()
        self.stops = asyncio.Event()

    def mount(self, *_: object) -> None:
        pass

    async def start(self) -> None:
        self.begins.set()
        await self.starts.wait()

    async def stop(self, timeout: float | None = None) -> None:
        self.ends.set()
        await self.stops.wait()


async def test_probes_answer_before_and_after_all_else() -> None:
    """While other servers start and stop, the process lives and is not ready; then the port is closed."""
    gated, admin = Gated(), AdminServer("127.0.0.1:0")
    app = App(name="shop", servers=[gated, admin], shutdown=QUICK)

    async def live() -> None:
        async with app:
            assert (await ask(admin.endpoint, "/readyz")).status == 200

    task = asyncio.create_task(live())
    for reached, go_on in ((gated.begins, gated.starts), (gated.ends, gated.stops)):
        await reached.wait()
        assert (await ask(admin.endpoint, "/readyz")).status == 503
        assert (await ask(admin.endpoint, "/healthz")).status == 200
        assert (await ask(admin.endpoint, "/")).status == 200
        endpoint = admin.endpoint
        go_on.set()
    await task
    with pytest.raises(OSError, match=r".*"):
        await ask(endpoint, "/healthz")


async def test_clients_that_do_nothing_delay_no_stop() -> None:
    """Half a request, half a form, an answer that nobody reads, a page that takes long: the stop cuts them off."""

    async def hang() -> None:
        await asyncio.Event().wait()

    admin = AdminServer("127.0.0.1:0", checks=[Check(name="db", run=hang, timeout=3600)])
    writers: list[asyncio.StreamWriter] = []
    form = (
        b"POST /debug/log HTTP/1.1\r\nhost: localhost\r\nx-kratos-admin: 1\r\ncontent-length: 9\r\n"
        b"content-type: application/x-www-form-urlencoded"
    )
    app = App(name="shop", servers=[admin], shutdown=Shutdown(finish=3600))
    async with asyncio.timeout(60), app:
        port = int(admin.endpoint.rpartition(":")[2])
        for sent in (
            b"", b"GET / HT", b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n",
            form + b"\r\n\r\nlog",
            b"GET /routes HTTP/1.1\r\nhost: localhost\r\n\r\n" * 500,
        ):  # fmt: skip
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            writers.append(writer)
        assert (await ask(admin.endpoint, "/healthz")).status == 200
    # Here it is over, and calls would have had an hour.
    for writer in writers:
        writer.close()


@pytest.mark.parametrize("engine", ["grpcio", "native"])
async def test_calls_in_flight(engine: Any) -> None:
    """Calls over both transports are there with their age and what time is left; our own pages are not."""
    greeter, admin = Greeter(), AdminServer("127.0.0.1:0")
    servers = [HTTPServer("127.0.0.1:0"), GRPCServer("127.0.0.1:0", engine=engine), admin]
    async with App(name="shop", services=[greeter], servers=servers, shutdown=QUICK) as app:
        http, grpc = app.info.endpoints
        async with HTTPClient(http, timeout=60) as first, GRPCClient(grpc, timeout=60) as second:
            calls = [
                asyncio.create_task(GreeterClient(each).say_hello(HelloRequest(name="hunter2")))
                for each in (first, second)
            ]
            for _ in calls:
                await greeter.entered.acquire()
            answer = await ask(admin.endpoint, "/debug/calls.json")
            said = answer.json()
            assert said["calls_in_flight"] == 2
            assert {row["kind"] for row in said["calls"]} == {"http", "grpc"}
            for row in said["calls"]:
                assert row["operation"] == "/fixture.helloworld.v1.Greeter/SayHello"
                assert row["peer"].startswith("127.0.0.1:")
                assert row["limit"] == "server"
                assert 0 <= row["age"] < 30
                assert 0 < row["time_left"] <= 10
            assert "hunter2" not in answer.text
            greeter.go.set()
            await asyncio.gather(*calls)
        assert (await ask(admin.endpoint, "/debug/calls.json")).json()["calls_in_flight"] == 0


async def test_ten_thousand_tasks_are_a_small_page() -> None:
    """However many tasks there are, some are shown and the others are counted."""
    admin = AdminServer("127.0.0.1:0")
    async with serving(admin):
        over = asyncio.Event()
        many = [asyncio.create_task(over.wait(), name=f"waits {number}") for number in range(10_000)]
        answer = await ask(admin.endpoint, "/debug/tasks.json")
        said = answer.json()
        assert said["by_coroutine"][0] == {"coroutine": "Event.wait", "tasks": 10_000}
        assert len(said["tasks"]) == 200
        assert said["tasks_left_out"] > 9_800
        assert any(row["waits_at"].startswith("asyncio.locks.Event.wait:") for row in said["tasks"])
        page = await ask(admin.endpoint, "/debug/tasks")
        assert f"and {said['tasks_left_out']} more" in page.text
        assert len(page.body) < 60_000
        assert (await ask(admin.endpoint, "/debug/calls")).status == 200
        over.set()
        await asyncio.gather(*many)


async def test_levels_are_switched() -> None:
    """A level is set and taken back; what is no level, and who may not, changes nothing."""
    admin = AdminServer("127.0.0.1:0")
    logger = logging.getLogger("kratos.test_levels")

    async def send(form: str, *headers: str) -> tuple[int, int]:
        answer = await ask(admin.endpoint, "/debug/log", *headers, method="POST", form=form)
        return answer.status, logger.level

    async with serving(admin):
        assert await send("logger=kratos.test_levels&level=debug", *OWN) == (303, logging.DEBUG)
        said = (await ask(admin.endpoint, "/debug/log.json")).json()
        row = {"logger": "kratos.test_levels", "its_own": "DEBUG", "in_force": "DEBUG"}
        assert row in said["levels"]
        assert said["levels"][0]["logger"] == "root"
        assert await send("logger=kratos.test_levels&level=warn%2B1", *OWN) == (303, logging.WARNING + 1)
        assert await send("logger=kratos.test_levels&level=DEBUG", *OWN) == (303, logging.DEBUG)
        for wrong in ("logger=kratos.test_levels&level=LOUD", "logger=a b&level=INFO", "level=INFO", "",
                      "logger=root&level=inherit", "logger=%ff&level=INFO"):  # fmt: skip
            assert await send(wrong, *OWN) == (400, logging.DEBUG), wrong
        for headers in ((), ("origin: http://evil.example",), ("sec-fetch-site: cross-site", *OWN), ("origin: null",)):
            assert await send("logger=kratos.test_levels&level=ERROR", *headers) == (403, logging.DEBUG), headers
        assert (await ask(admin.endpoint, "/debug/log", *OWN, method="POST", form="x" * 5000)).status == 413
        json = ("accept: application/json", *OWN)
        assert await send("logger=kratos.test_levels&level=inherit", *json) == (200, logging.NOTSET)
        plain = ("content-type: text/plain", "content-length: 0", *OWN)
        assert (await ask(admin.endpoint, "/debug/log", *plain, method="POST")).status == 415


async def test_unix_socket(tmp_path: Path) -> None:
    """Whoever may open the socket is on this machine."""
    admin = AdminServer(f"unix:{tmp_path}/admin.sock?mode=600")
    async with serving(admin):
        assert (await ask(admin.endpoint, "/health")).status == 200
        assert (await ask(admin.endpoint, "/health", host="evil.example")).status == 404


async def test_alone() -> None:
    """An app without services, or with a server that tells nothing of itself, is shown as well."""
    gated, admin = Gated(), AdminServer("127.0.0.1:0")
    gated.starts.set()
    gated.stops.set()
    async with App(name="", servers=[gated, admin], shutdown=QUICK):
        for path in ("/", "/routes", "/debug/stacks", "/debug/lag.json"):
            assert (await ask(admin.endpoint, path)).status == 200
        assert (await ask(admin.endpoint, "/docs")).status == 404
        assert (await ask(admin.endpoint, "/openapi.json")).status == 404


async def test_documents_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    """The document is here where the main port has none, and names the main port."""
    monkeypatch.delenv("KRATOS_ENV", raising=False)
    admin = AdminServer("127.0.0.1:0")
    async with serving(admin) as app:
        main = app.info.endpoints[0]
        assert (await ask(main, "/openapi.json")).status == 404
        answer = await ask(admin.endpoint, "/openapi.json")
        assert answer.json()["servers"] == [{"url": main}]
        assert answer.headers["cache-control"] == "no-store"
        assert "supportedSubmitMethods" in (await ask(admin.endpoint, "/docs/start.js")).text


async def test_alone_it_cannot_start() -> None:
    """It shows an app: without one it says what to do."""
    with pytest.raises(RuntimeError, match="pass the server to an App"):
        await AdminServer("127.0.0.1:0").start()
    await AdminServer("127.0.0.1:0").stop()


async def test_again() -> None:
    """An app that is served twice has its admin port twice."""
    admin = AdminServer("127.0.0.1:0")
    app = App(name="shop", servers=[admin], shutdown=QUICK)
    for _ in range(2):
        async with app:
            assert (await ask(admin.endpoint, "/readyz")).status == 200
