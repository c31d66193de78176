"""Plain ``def`` methods: in a thread, in their call's context, and never in the way of others."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KINDS_ECHO, KindsClient, KindsService
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import nothing_left

from kratos.call import Call, current_call
from kratos.errors import Error, GatewayTimeout, InternalServer
from kratos.handler import Handler, Messages
from kratos.metadata import Metadata
from kratos.service import blocking
from kratos.testing import FakeClock, serve
from kratos.transport.dispatch import Dispatcher

where = contextvars.ContextVar("where", default="nowhere")


class Marked(KindsService):
    """Says in which thread it ran, and for which call. The text decides what happens."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.go = threading.Event()
        self.running = 0

    @blocking
    def echo(self, request: Ping, call: Call) -> Pong:
        assert current_call() is call
        self.running += 1
        self.entered.release()
        if request.text == "nope":
            raise Nope("no")
        if request.text == "stop":
            raise StopIteration
        if request.text.startswith("wait"):
            assert self.go.wait(30)
        if request.text == "wait and crash":
            raise ValueError("too late")
        if request.text == "wait and nope":
            raise Nope("too late")
        return Pong(text=f"{threading.current_thread().name.split('_')[0]} {where.get()}")


class Bare(KindsService):
    """The same without the decorator, as it works at run time."""

    def echo(self, request: Ping, call: Call) -> Pong:  # type: ignore[override]  # for those who do not check types
        return Marked.echo.__wrapped__(Marked(), request, call)  # type: ignore[attr-defined,no-any-return]  # functools.wraps


async def place(request: Any, call: Call, next: Handler) -> Any:
    where.set("somewhere")
    return await next(request, call)


def call_of() -> Call:
    return Call(KINDS_ECHO, kind="test", side="server", headers=Metadata())


async def until(condition: Any) -> None:
    """Lets the loop run until threads have done something."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


def pool() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("kratos def")}


@contextmanager
def hanging(service: Marked) -> Iterator[Callable[[], set[threading.Thread]]]:
    """Lets every waiting method go at the end; gives the threads that have come since."""
    before = pool()
    try:
        yield lambda: pool() - before
    finally:
        service.go.set()


@pytest.mark.parametrize("service", [Marked, Bare])
async def test_in_a_thread_with_its_context(service: type[KindsService]) -> None:
    """Decorated or not, it runs in the pool; the current call and context variables are those of the call."""
    with nothing_left():
        async with serve(service(), middleware=[place]) as conn:
            assert (await KindsClient(conn).echo(Ping())).text == "kratos def somewhere"


async def test_failures() -> None:
    """What it raises is raised, StopIteration too, which no future can carry."""
    async with serve(Marked()) as conn:
        api = KindsClient(conn)
        with pytest.raises(Nope):
            await api.echo(Ping(text="nope"))
        with pytest.raises(InternalServer):
            await api.echo(Ping(text="stop"))


async def test_a_rejected_request_never_reaches_it() -> None:
    """The method is not called for a request that could not be read."""
    service = Marked()
    dispatcher = Dispatcher([service])
    call = call_of()
    call.rejected = Nope("unreadable")
    with pytest.raises(Nope, match="unreadable"):
        await dispatcher.dispatch(dispatcher.endpoints[KINDS_ECHO.name], Ping(), call)
    assert service.running == 0


async def test_a_method_that_hands_on_a_coroutine() -> None:
    """A plain def that returns what an async method returned is awaited."""

    class Delegating(KindsService):
        def echo(self, request: Ping, call: Call) -> Any:
            async def answer() -> Pong:
                return Pong(text="from elsewhere")

            return answer()

    async with serve(Delegating()) as conn:
        assert (await KindsClient(conn).echo(Ping())).text == "from elsewhere"


async def test_the_loop_goes_on() -> None:
    """While one method blocks its thread, other calls are answered."""
    service = Marked()
    with hanging(service):
        async with serve(service) as conn:
            api = KindsClient(conn)
            task = asyncio.create_task(api.echo(Ping(text="wait")))
            await until(lambda: service.running)
            assert (await api.echo(Ping())).text
            assert not task.done()
            service.go.set()
            assert (await task).text


@pytest.mark.parametrize("text", ["wait", "wait and crash", "wait and nope"])
async def test_nobody_waits_for_a_thread(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whose time is up gets a 504 at once; the thread runs on, and only a failure of its own is logged."""
    service = Marked()
    dispatcher = Dispatcher([service], timeout=1.0)
    with hanging(service) as threads, FakeClock() as clock:
        task = asyncio.create_task(
            dispatcher.dispatch(dispatcher.endpoints[KINDS_ECHO.name], Ping(text=text), call_of())
        )
        await clock.settle()
        assert service.entered.acquire(timeout=30)
        await clock.advance(1.1)
        with pytest.raises(GatewayTimeout):
            await task
        (thread,) = threads()
        service.go.set()
        dispatcher.close()
        thread.join(30)
    assert [record.getMessage() for record in caplog.records] == (
        [f"{KINDS_ECHO.name} failed in its thread after its caller was gone"] if text == "wait and crash" else []
    )


async def test_a_full_pool_makes_calls_wait() -> None:
    """No more than so many run; who waits does so on its own time, and leaves nothing behind when that is up."""
    service = Marked()
    dispatcher = Dispatcher([service], timeout=None, threads=2)
    endpoint = dispatcher.endpoints[KINDS_ECHO.name]

    def start() -> asyncio.Task[Any]:
        return asyncio.create_task(dispatcher.dispatch(endpoint, Ping(text="wait"), call_of()))

    with hanging(service):
        first = [start(), start()]
        await until(lambda: service.running == 2)
        third = start()
        await asyncio.sleep(0)
        hurried = call_of()
        hurried.shorten(0.001)
        with pytest.raises(GatewayTimeout):
            await dispatcher.dispatch(endpoint, Ping(text="wait"), hurried)
        first[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await first[0]
        # Its caller is gone, its thread is not: the third still waits.
        for _ in range(10):
            await asyncio.sleep(0)
        assert service.running == 2
        service.go.set()
        await first[1]
        await third
    assert service.running == 3
    dispatcher.close()


def test_close_and_another_loop() -> None:
    """Closing ends the threads; the dispatcher works again, in another event loop too."""
    dispatcher = Dispatcher([Marked()], threads=1)
    dispatcher.close()

    async def use() -> list[Any]:
        endpoint = dispatcher.endpoints[KINDS_ECHO.name]
        return await asyncio.gather(*(dispatcher.dispatch(endpoint, Ping(), call_of()) for _ in range(3)))

    for _ in range(2):
        assert len(asyncio.run(use())) == 3
        dispatcher.close()


async def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without threads left is a 500, and no place in the pool is lost by it."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    dispatcher = Dispatcher([Marked()], threads=1)
    endpoint = dispatcher.endpoints[KINDS_ECHO.name]
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(Error):
            await dispatcher.dispatch(endpoint, Ping(), call_of())
    dispatcher.close()
    assert await dispatcher.dispatch(endpoint, Ping(), call_of())
    dispatcher.close()


def test_a_loop_that_is_gone() -> None:
    """A thread that ends after its event loop does so quietly."""
    service = Marked()
    dispatcher = Dispatcher([service])

    async def leave() -> None:
        task = asyncio.create_task(
            dispatcher.dispatch(dispatcher.endpoints[KINDS_ECHO.name], Ping(text="wait"), call_of())
        )
        await until(lambda: service.running)
        task.cancel()

    with hanging(service) as threads:
        asyncio.run(leave())
        (thread,) = threads()
        service.go.set()
        dispatcher.close()
        thread.join(30)


async def test_awaited_anywhere_else() -> None:
    """The decorated method is a coroutine function: a unit test, or another method, awaits it."""

    class Plain(KindsService):
        @blocking
        def echo(self, request: Ping, call: Call) -> Pong:
            return Pong(text=request.text)

    assert (await Plain().echo(Ping(text="a"), call_of())).text == "a"


async def test_a_static_method() -> None:
    """A method without a self is a method too."""

    class Static(KindsService):
        @staticmethod
        @blocking
        def echo(request: Ping, call: Call) -> Pong:  # type: ignore[override]  # the call looks the same
            return Pong(text=request.text)

    async with serve(Static()) as conn:
        assert (await KindsClient(conn).echo(Ping(text="a"))).text == "a"


def test_what_cannot_run_in_a_thread() -> None:
    """Streams are async, and one reply is returned: all else is a start-up error that says what to write."""

    class Collecting(KindsService):
        def collect(self, requests: Messages[Ping], call: Call) -> Pong:  # type: ignore[override]  # the point
            return Pong()

    class MarkedCollecting(KindsService):
        @blocking
        def collect(self, requests: Messages[Ping], call: Call) -> Pong:
            return Pong()

    class Watching(KindsService):
        def watch(self, request: Ping, call: Call) -> Any:
            yield Pong()

    class MarkedWatching(KindsService):
        @blocking
        def watch(self, request: Ping, call: Call) -> Any:
            return [Pong()]

    class Yielding(KindsService):
        async def echo(self, request: Ping, call: Call) -> Any:
            yield Pong()

    class PlainYielding(KindsService):
        def echo(self, request: Ping, call: Call) -> Any:
            yield Pong()

    for service, message in (
        (Collecting(), "reads a stream, so it must be `async def`"),
        (MarkedCollecting(), "reads a stream, so it must be `async def`"),
        (Watching(), "answers with a stream: make it an async generator"),
        (MarkedWatching(), "answers with a stream: make it an async generator"),
        (Yielding(), "must return it, not yield"),
        (PlainYielding(), "must return it, not yield"),
    ):
        with pytest.raises(TypeError, match=message):
            Dispatcher([service])
    with pytest.raises(ValueError, match="threads=0"):
        Dispatcher([], threads=0)


async def test_time_in_a_thread() -> None:
    """A plain method may ask how much time is left, and take some of it away."""

    class Hasty(KindsService):
        @blocking
        def echo(self, request: Ping, call: Call) -> Pong:
            left = call.remaining()
            assert left is not None
            assert 0 < left <= 10
            call.shorten(0.01)
            threading.Event().wait(0.5)
            return Pong()

    async with serve(Hasty()) as conn:
        with pytest.raises(GatewayTimeout) as failure:
            await KindsClient(conn).echo(Ping(), timeout=10.0)
    assert failure.value.metadata == {"limit": "method"}
