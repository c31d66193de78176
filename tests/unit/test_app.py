"""The life of an app: start, signal, stop."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterClient, GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest
from opentelemetry.sdk.trace import TracerProvider

from kratos import GRPCClient, GRPCServer, HTTPClient, HTTPServer
from kratos.app import App, Hook, Shutdown, make, run
from kratos.call import AppInfo, Call
from kratos.config.base import ConfigError, Place, Problem
from kratos.errors import Error, NotFound
from kratos.handler import Middleware, only
from kratos.metrics import NoopMeter, PrometheusMeter
from kratos.middleware import access_log, metrics, recovery, tracing
from kratos.registry import Instance, MemoryRegistry, Registration
from kratos.service import Service
from kratos.testing import FakeClock


class Recorder:
    """A server that writes down what is asked of it."""

    def __init__(self, name: str, log: list[str], *, fail: str = "") -> None:
        self.name = name
        self.log = log
        self.fail = fail

    def mount(self, services: Iterable[Service], middleware: Iterable[Middleware], app: AppInfo) -> None:
        self.log.append(f"mount {self.name} for {app.name}")

    @property
    def endpoint(self) -> str:
        return f"test://{self.name}"

    @property
    def summary(self) -> str:
        return "a test"

    async def start(self) -> None:
        self.log.append(f"start {self.name}")
        if self.fail == "start":
            raise OSError(f"{self.name} cannot start")

    async def stop(self, timeout: float | None = None) -> None:
        self.log.append(f"stop {self.name} within {timeout}")
        if self.fail == "stop":
            raise RuntimeError(f"{self.name} cannot stop")
        if self.fail == "hang":
            await asyncio.Event().wait()


async def test_order() -> None:
    """Servers are mounted when the app is made, started in order, and all stopped."""
    log: list[str] = []
    app = App(name="shop", servers=[Recorder("a", log), Recorder("b", log)], shutdown=Shutdown(finish=3))
    assert log == ["mount a for shop", "mount b for shop"]
    assert app.info.endpoints == ()
    async with app:
        assert log[2:] == ["start a", "start b"]
        assert app.info.endpoints == ("test://a", "test://b")
    assert log[4:] == ["stop a within 3", "stop b within 3"]


class Onlooker(Recorder):
    """A server that shows the app."""

    def look_at(self, app: App) -> None:
        self.log.append(f"{self.name} looks at {', '.join(server.endpoint for server in app.servers)}")


async def test_onlookers() -> None:
    """A server that shows the app is given it when all are mounted, starts first, stops last, and is no endpoint."""
    log: list[str] = []

    @asynccontextmanager
    async def hook(_: App) -> AsyncIterator[None]:
        log.append("enter")
        yield
        log.append("leave")

    servers = [Recorder("a", log), Onlooker("b", log), Recorder("c", log)]
    app = App(name="shop", servers=servers, hooks=[hook], shutdown=Shutdown(finish=3))
    assert log[2:] == ["mount c for shop", "b looks at test://a, test://b, test://c"]
    async with app:
        assert log[4:] == ["enter", "start b", "start a", "start c"]
        assert app.info.endpoints == ("test://a", "test://c")
    assert log[8:] == ["stop a within 3", "stop c within 3", "stop b within 3", "leave"]


async def test_failed_start_stops_the_others() -> None:
    """When one server cannot start, those that did are stopped and the reason is told."""
    log: list[str] = []
    app = App(name="shop", servers=[Recorder("a", log), Recorder("b", log, fail="start"), Recorder("c", log)])
    with pytest.raises(OSError, match="b cannot start"):
        async with app:
            pass
    assert log[3:] == ["start a", "start b", "stop a within 10.0", "stop b within 10.0"]


async def test_failed_stop_stops_the_others() -> None:
    """When one server cannot stop, the others are stopped all the same, and every reason is told."""
    log: list[str] = []
    servers = [Recorder("a", log, fail="stop"), Recorder("b", log), Recorder("c", log, fail="stop")]
    with pytest.raises(ExceptionGroup, match="shop did not stop cleanly") as failure:
        async with App(name="shop", servers=servers):
            pass
    assert [str(each) for each in failure.value.exceptions] == ["a cannot stop", "c cannot stop"]
    assert "stop b within 10.0" in log


NEEDED = Registration(required=True)


class Registry(MemoryRegistry):
    """A registry that writes down what is asked of it, and may misbehave."""

    def __init__(self, log: list[str], *, fail: str = "") -> None:
        super().__init__()
        self.log = log
        self.fail = fail

    async def register(self, instance: Instance, /) -> None:
        self.log.append(f"register {', '.join(instance.endpoints)}")
        if self.fail == "register":
            raise ConnectionError("no registry")
        await super().register(instance)

    async def deregister(self, instance: Instance, /) -> None:
        self.log.append("deregister")
        if self.fail == "deregister":
            raise ConnectionError("no registry")
        if self.fail == "hang":
            await asyncio.Event().wait()
        await super().deregister(instance)

    async def found(self) -> int:
        async for instances in self.watch("shop"):
            return len(instances)
        return -1


def hook(name: str, log: list[str], *, fail: str = "") -> Hook:
    @asynccontextmanager
    async def manager(app: App) -> AsyncIterator[None]:
        log.append(f"enter {name}")
        if fail == "enter":
            raise RuntimeError(f"{name} cannot begin")
        yield
        log.append(f"leave {name}")
        if fail == "leave":
            raise RuntimeError(f"{name} cannot end")
        if fail == "hang":
            await asyncio.Event().wait()

    return manager


async def test_the_whole_way_up_and_down() -> None:
    """Hooks, servers, registration; then not ready, deregistration, servers, hooks in reverse."""
    log: list[str] = []
    registry = Registry(log)
    hooks = [hook("db", log), hook("cache", log)]
    app = App(name="shop", servers=[Recorder("a", log)], registrar=registry, hooks=hooks, shutdown=Shutdown(drain=0))
    assert not app.info.ready
    async with app:
        assert app.info.ready
        assert await registry.found() == 1
    assert not app.info.ready
    assert await registry.found() == 0
    assert log[1:] == [
        "enter db",
        "enter cache",
        "start a",
        "register test://a",
        "deregister",
        "stop a within 10.0",
        "leave cache",
        "leave db",
    ]


async def test_clients_get_time_to_notice() -> None:
    """Between deregistration and the end of accepting there is the drain delay; the app is not ready meanwhile."""
    log: list[str] = []
    with FakeClock() as clock:
        app = App(name="shop", servers=[Recorder("a", log)], registrar=Registry(log), shutdown=Shutdown(drain=3))
        await app.__aenter__()
        task = asyncio.create_task(app.__aexit__(None, None, None))
        await clock.advance(2.9)
        assert log[-1] == "deregister"
        assert not app.info.ready
        await clock.advance(0.2)
        await task
    assert log[-1] == "stop a within 10.0"


@pytest.mark.parametrize("fail", ["deregister", "hang"])
async def test_a_registry_that_is_away_does_not_hold_us(fail: str, caplog: pytest.LogCaptureFixture) -> None:
    """A failing or hanging deregistration is logged, and every later step is taken."""
    log: list[str] = []
    with FakeClock() as clock:
        app = App(
            name="shop", servers=[Recorder("a", log)], registrar=Registry(log, fail=fail), hooks=[hook("db", log)]
        )
        await app.__aenter__()
        task = asyncio.create_task(app.__aexit__(None, None, None))
        for _ in range(4):
            await clock.advance(2)
        await task
    assert log[-2:] == ["stop a within 10.0", "leave db"]
    assert "stays registered" in caplog.text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hook": "leave"}, "db cannot end"),
        ({"hook": "hang"}, "leave .*: not done after 5 s"),
        ({"server": "hang"}, "stop Recorder: not done after 21 s"),
        ({"server": "stop"}, "a cannot stop"),
    ],
)
async def test_every_step_down_is_taken(wrong: dict[str, str], message: str) -> None:
    """Whatever fails or hangs, servers are stopped, hooks left, and the reasons told at the end."""
    log: list[str] = []
    hooks = [hook("outer", log), hook("db", log, fail=wrong.get("hook", ""))]
    servers = [Recorder("a", log, fail=wrong.get("server", "")), Recorder("b", log)]
    registry = Registry(log)
    with FakeClock() as clock:
        app = App(name="shop", servers=servers, registrar=registry, hooks=hooks)
        await app.__aenter__()
        task = asyncio.create_task(app.__aexit__(None, None, None))
        for _ in range(20):
            await clock.advance(2)
        with pytest.raises(ExceptionGroup) as failure:
            await task
    assert failure.group_contains(Exception, match=message)
    assert log[-1] == "leave outer"
    assert {"deregister", "stop a within 10.0", "stop b within 10.0", "leave db"} <= set(log)
    assert await registry.found() == 0


async def test_a_failed_start_leaves_nothing_behind() -> None:
    """A server that dies at start, or a registry that refuses, takes everything down that was up."""
    log: list[str] = []
    app = App(name="shop", servers=[Recorder("a", log, fail="start")], registrar=Registry(log), hooks=[hook("db", log)])
    with pytest.raises(OSError, match="a cannot start"):
        await app.__aenter__()
    assert log[1:] == ["enter db", "start a", "stop a within 10.0", "leave db"]
    log.clear()
    app = App(name="shop", servers=[Recorder("a", log)], registrar=Registry(log, fail="register"), registration=NEEDED)
    with pytest.raises(ConnectionError):
        await app.__aenter__()
    assert log[-1] == "stop a within 10.0"
    log.clear()
    app = App(name="shop", servers=[Recorder("a", log)], hooks=[hook("db", log), hook("bad", log, fail="enter")])
    with pytest.raises(RuntimeError, match="bad cannot begin"):
        await app.__aenter__()
    assert log[1:] == ["enter db", "enter bad", "leave db"]


async def test_a_hook_is_left_where_it_was_entered() -> None:
    """A hook may hold a task group: it is entered and left in one task, and its children work in between."""
    ticks: list[int] = []

    @asynccontextmanager
    async def ticking(app: App) -> AsyncIterator[None]:
        async def tick() -> None:
            while True:
                ticks.append(1)
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            task = group.create_task(tick())
            yield
            task.cancel()

    async with App(name="shop", hooks=[ticking]):
        await asyncio.sleep(0.01)
    assert ticks


async def test_a_hook_may_be_cancelled_while_it_is_entered() -> None:
    """Cancelling the start cancels the hook that is being entered."""
    ended: list[str] = []

    @asynccontextmanager
    async def slow(app: App) -> AsyncIterator[None]:
        try:
            await asyncio.Event().wait()
            yield
        finally:
            ended.append("slow")

    task = asyncio.create_task(App(name="shop", hooks=[slow]).__aenter__())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert ended == ["slow"]


async def test_a_cancelled_parent_still_stops_in_order() -> None:
    """Cancelling the task around the app, even twice, does not skip a step."""
    log: list[str] = []
    registry = Registry(log)
    app = App(
        name="shop",
        servers=[Recorder("a", log)],
        registrar=registry,
        hooks=[hook("db", log)],
        shutdown=Shutdown(drain=0.05),
    )

    async def parent() -> None:
        async with app:
            await asyncio.Event().wait()

    task = asyncio.create_task(parent())
    while not app.info.ready:
        await asyncio.sleep(0)
    task.cancel()
    while "deregister" not in log:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log[-3:] == ["deregister", "stop a within 10.0", "leave db"]
    assert await registry.found() == 0


async def test_serve_ends_on_a_signal() -> None:
    """``serve`` returns after SIGTERM and gives the signal handlers back."""
    before = signal.getsignal(signal.SIGTERM)
    log: list[str] = []
    task = asyncio.create_task(App(name="shop", servers=[Recorder("a", log)]).serve())
    while "start a" not in log:
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    signal.raise_signal(signal.SIGTERM)
    await asyncio.wait_for(task, 5)
    assert log[-1].startswith("stop a")
    assert signal.getsignal(signal.SIGTERM) is before


SCRIPT = textwrap.dedent(
    """
    import asyncio
    from kratos import App, HTTPServer
    from kratos.service import Service
    from kratos.operation import Http, Unary
    from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterService

    class Stubborn(HTTPServer):
        async def stop(self, timeout=None):
            print("stopping", flush=True)
            await asyncio.sleep({linger})
            await super().stop(timeout)

    App(name="shop", version="2", services=[GreeterService()], servers=[Stubborn("127.0.0.1:0")]).run()
    print("done", flush=True)
    """
)


def start(linger: float = 0, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(linger=linger)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def banner(process: subprocess.Popen[str]) -> list[str]:
    """Waits until the process has said where it listens."""
    assert process.stderr is not None
    lines: list[str] = []
    while not lines or "Ctrl-C" not in lines[-1]:
        line = process.stderr.readline()
        assert line, lines
        lines.append(line.rstrip())
    return lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_well(number: signal.Signals) -> None:
    """SIGINT and SIGTERM drain: exit code 0, no traceback."""
    process = start()
    assert [line.split("127")[0] for line in banner(process)[1:3]] == ["  http://", "  try:  curl http://"]
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "stopping\ndone\n", "")


def test_sigint_counts_where_it_arrives_ignored() -> None:
    """A shell script's background job has SIGINT ignored; the app hears it all the same."""
    process = start(preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    banner(process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 0


def test_a_second_signal_ends_the_process_at_once() -> None:
    """Whoever asks twice does not want to wait."""
    process = start(linger=60)
    banner(process)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "stopping\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT


async def test_make() -> None:
    """An app may come from a function, plain or async; anything else is refused by name."""
    app = App(name="shop")

    async def factory() -> App:
        return app

    assert await make(app) is app
    assert await make(lambda: app) is app
    assert await make(factory) is app
    with pytest.raises(TypeError, match="^None is not an App: .*lambda.* has to return one$"):
        await make(lambda: None)  # type: ignore[arg-type, return-value]  # what people may do
    with pytest.raises(TypeError, match="^1 is not an App$"):
        await make(1)  # type: ignore[arg-type]  # what people may do


def test_what_stops_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with what the app was given ends the process in words; a defect has its traceback."""
    monkeypatch.chdir(tmp_path)

    async def misconfigured() -> App:
        raise ConfigError([Problem("is 0", "server.port", Place("config.yaml", 3))])

    def unregistrable() -> App:
        return App(name="shop", registration=Registration(wait=0))

    def broken() -> App:
        return App(name=str(int("shop")))

    with pytest.raises(SystemExit, match=r"^config\.yaml:3: server\.port: is 0$"):
        run(misconfigured)
    with pytest.raises(SystemExit, match=r"ValueError: wait is 0: it must be a positive number of seconds$"):
        run(unregistrable)
    with pytest.raises(SystemExit, match=r"TypeError: None is not an App: .* has to return one$"):
        run(lambda: None)  # type: ignore[arg-type, return-value]  # what people may do
    with pytest.raises(SystemExit, match=r"^a cannot start$"):
        App(name="shop", servers=[Recorder("a", [], fail="start")]).run()
    with pytest.raises(ValueError, match="invalid literal"):
        run(broken)
    monkeypatch.chdir(Path(__file__).parent)
    with pytest.raises(SystemExit, match=r"^test_app.py:\d+: ValueError: wait is 0"):
        run(unregistrable)


async def test_serve_with_hooks() -> None:
    """Further hooks are inside of the app's own: all is ready when they are entered, nothing listens yet.

    They are for once, and so are other limits: the app stays what it was made.
    """
    log: list[str] = []

    @asynccontextmanager
    async def own(_: App) -> AsyncIterator[None]:
        log.append("enter own")
        yield
        log.append("leave own")

    @asynccontextmanager
    async def gate(_: App) -> AsyncIterator[None]:
        log.append("enter gate")
        asyncio.get_running_loop().call_later(0.05, signal.raise_signal, signal.SIGTERM)
        yield
        log.append("leave gate")

    app = App(name="shop", servers=[Recorder("a", log)], hooks=[own])
    await app.serve(gate, shutdown=Shutdown(finish=3))
    assert log == [
        "mount a for shop", "enter own", "enter gate", "start a", "stop a within 3", "leave gate", "leave own",
    ]  # fmt: skip
    log.clear()
    async with app:
        pass
    assert log == ["enter own", "start a", "stop a within 10.0", "leave own"]


TRACERS = TracerProvider()


class Greeter(GreeterService):
    """Greets everybody but one, and fails of another."""

    async def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:
        if request.name == "nobody":
            raise NotFound("who?", reason="USER_NOT_FOUND")
        if request.name == "crash":
            raise ValueError("no")
        return HelloReply(message=f"Hello {request.name}")


async def test_the_usual_chain(capsys: pytest.CaptureFixture[str]) -> None:
    """An app that is given no middleware counts each call once, as it is logged; a crash is the 500 it is answered."""
    servers = [HTTPServer("127.0.0.1:0"), GRPCServer("127.0.0.1:0")]
    app = App(name="shop", services=[Greeter()], servers=servers, shutdown=Shutdown(drain=0))
    async with app, HTTPClient(app.info.endpoints[0]) as http, GRPCClient(app.info.endpoints[1]) as grpc:
        for conn in (http, grpc):
            for name in ("kratos", "nobody", "crash"):
                with suppress(Error):
                    await GreeterClient(conn).say_hello(HelloRequest(name=name))
    assert isinstance(app.meter, PrometheusMeter)
    text = app.meter.render()[1].decode()
    logged = [json.loads(line) for line in capsys.readouterr().err.splitlines() if '"kind":"server"' in line]
    said = [(line["component"], line["operation"], str(line["code"]), line["reason"]) for line in logged]
    pattern = r'server_requests_code_total\{code="(.*?)",kind="(.*?)",operation="(.*?)",reason="(.*?)"\} (.*)'
    counted = [(kind, op, code, why) for code, kind, op, why, _ in re.findall(pattern, text)]
    assert {number for *_, number in re.findall(pattern, text)} == {"1.0"}
    assert sorted(counted) == sorted(said)
    outcomes = [("200", ""), ("404", "USER_NOT_FOUND"), ("500", "UNKNOWN")]
    name = "/fixture.helloworld.v1.Greeter/SayHello"
    assert sorted(counted) == [(kind, name, *outcome) for kind in ("grpc", "http") for outcome in outcomes]


def watched(over: str, *middleware: Middleware, chain: Iterable[Middleware] | None = None) -> App:
    """Returns an app with a server that has middleware of its own."""
    server = {"http": HTTPServer, "grpc": GRPCServer}[over]("127.0.0.1:0", middleware=middleware)
    return App(name="shop", services=[Greeter()], servers=[server], middleware=chain)


@pytest.mark.parametrize("over", ["http", "grpc"])
@pytest.mark.parametrize(
    "make_it", [metrics, access_log, lambda: only("/fixture.*", metrics()), lambda: tracing(TRACERS)]
)
def test_no_call_is_told_twice(over: str, make_it: Callable[[], Middleware]) -> None:
    """What counts, logs or traces a call in the app's chain may not be once more in the server's."""
    words = (
        r"^(metrics|access_log|tracing)\(\) is twice in the chain of /fixture.*Greeter/\w+, .* Leave out the server's"
    )
    with pytest.raises(ValueError, match=words):
        watched(over, make_it(), chain=[recovery(), tracing(TRACERS), metrics(), access_log()])


@pytest.mark.parametrize("over", ["http", "grpc"])
def test_the_usual_chain_is_not_doubled(over: str) -> None:
    """An app that is given no middleware counts and logs, so its servers need not; they may do so elsewhere."""
    for twice in (metrics(), access_log(), access_log(to=sys.stderr)):
        with pytest.raises(ValueError, match="for an app that is given none that is"):
            watched(over, twice)
    meter = PrometheusMeter()
    with pytest.raises(ValueError, match=r"^metrics\(\) is twice"):
        App(name="shop", services=[Greeter()], servers=[HTTPServer(middleware=[metrics(meter)])], meter=meter)
    elsewhere = metrics(meter), access_log(to="access.log"), access_log(records=True), only("/other/*", metrics())
    watched(over, *elsewhere)
    with pytest.raises(ValueError, match=r"^access_log\(\) is twice"):
        watched(over, *elsewhere, access_log(to=Path("access.log")))


async def test_what_servers_have_is_measured_and_closed(tmp_path: Path) -> None:
    """The figures of a server's own middleware are shown, once though it has two servers; it is closed with the app."""
    file, nowhere = tmp_path / "access.log", access_log(to=tmp_path / "nowhere" / "access.log")
    own = [metrics(), access_log(to=file), nowhere]
    servers = [HTTPServer("127.0.0.1:0", middleware=own), GRPCServer("127.0.0.1:0", middleware=own)]
    app = App(name="shop", services=[Greeter()], servers=servers, middleware=[], shutdown=Shutdown(drain=0))
    async with app, HTTPClient(app.info.endpoints[0]) as http, GRPCClient(app.info.endpoints[1]) as grpc:
        for conn in (http, grpc):
            await GreeterClient(conn).say_hello(HelloRequest(name="kratos"))
    assert len(file.read_text().splitlines()) == 2
    assert isinstance(app.meter, PrometheusMeter)
    text = app.meter.render()[1].decode()
    assert re.findall(r"^server_requests_code_total{.*} (.*)$", text, re.MULTILINE) == ["1.0", "1.0"]
    assert re.findall(r'^kratos_log_lines_lost_total{log="access"} (.*)$', text, re.MULTILINE) == ["2.0"]


async def test_the_usual_chain_without_a_meter() -> None:
    """An app that measures nothing serves all the same."""
    server = HTTPServer("127.0.0.1:0")
    app = App(name="shop", services=[Greeter()], servers=[server], meter=NoopMeter(), shutdown=Shutdown(drain=0))
    async with app, HTTPClient(app.info.endpoints[0]) as conn:
        reply = await GreeterClient(conn).say_hello(HelloRequest(name="kratos"))
    assert reply.message == "Hello kratos"
