"""Building and running chains, without any transport."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KINDS_ECHO, KINDS_WATCH, KindsClient, KindsService
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong

from kratos.call import Call, current_call
from kratos.errors import ClientClosed, Conflict, Error, Unimplemented
from kratos.handler import Handler
from kratos.metadata import Metadata
from kratos.testing import serve
from kratos.transport.dispatch import Dispatcher


def call_of(operation: Any = KINDS_ECHO) -> Call:
    return Call(operation, kind="test", side="server", headers=Metadata())


async def dispatch(service: KindsService, *middleware: Any, request: Any = None) -> Any:
    dispatcher = Dispatcher([service], middleware)
    return await dispatcher.dispatch(dispatcher.endpoints[KINDS_ECHO.name], request or Ping(), call_of())


async def test_unimplemented_by_default() -> None:
    """The generated base answers every method with 501."""
    with pytest.raises(Unimplemented, match="/fixture.kinds.v1.Kinds/Echo is not implemented"):
        await dispatch(KindsService())


def test_two_services_with_one_operation() -> None:
    """Which service answers is never a matter of order."""

    class Other(KindsService):
        pass

    with pytest.raises(ValueError, match=r"Kinds/Echo is served by .*KindsService and by .*Other"):
        Dispatcher([KindsService(), Other()])


def test_wrong_shapes_are_refused_at_build() -> None:
    """A coroutine for a stream is a start-up error that says what to write."""

    class Listing(KindsService):
        async def watch(self, request: Ping, call: Call) -> list[Pong]:  # type: ignore[override]  # that is the point
            return []

    with pytest.raises(TypeError, match=r"Listing\.watch answers with a stream: make it an async generator"):
        Dispatcher([Listing()])


async def test_a_stream_may_be_any_async_iterator() -> None:
    """A plain def may return an iterator that is no generator."""

    class Three:
        def __init__(self) -> None:
            self.left = 3

        def __aiter__(self) -> AsyncIterator[Pong]:
            return self

        async def __anext__(self) -> Pong:
            self.left -= 1
            if self.left < 0:
                raise StopAsyncIteration
            return Pong(count=self.left)

    class Kinds(KindsService):
        def watch(self, request: Ping, call: Call) -> AsyncIterator[Pong]:
            return Three()

    async with serve(Kinds()) as conn, KindsClient(conn).watch(Ping()) as replies:
        assert [reply.count async for reply in replies] == [2, 1, 0]


async def test_a_gRPC_code_in_memory() -> None:
    """What an error names as its gRPC code arrives, as it does over gRPC."""

    async def failing(request: Any, call: Call, next: Handler) -> Any:
        raise Error("exists", grpc_code=6)

    async with serve(KindsService(), middleware=[failing]) as conn:
        with pytest.raises(Conflict) as failure:
            await KindsClient(conn).echo(Ping())
    assert failure.value.grpc_code == 6


async def test_group_of_one_is_unwrapped() -> None:
    """An error that a TaskGroup in the handler has wrapped is still that error."""

    class Kinds(KindsService):
        async def echo(self, request: Ping, call: Call) -> Pong:
            async def fail() -> None:
                raise Nope("inside")

            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
            return Pong()

    with pytest.raises(Nope, match="inside"):
        await dispatch(Kinds())


async def test_cancelled_work_is_not_a_cancelled_call() -> None:
    """A handler that awaits something cancelled fails with 499; the server's task goes on."""

    class Kinds(KindsService):
        async def echo(self, request: Ping, call: Call) -> Pong:
            future: asyncio.Future[Pong] = asyncio.get_running_loop().create_future()
            future.cancel()
            return await future

    with pytest.raises(ClientClosed) as failure:
        await dispatch(Kinds())
    assert failure.value.reason == "CANCELLED"


async def test_rejected_call_never_reaches_a_stream() -> None:
    """A stream's request that could not be read fails before the method is called."""
    dispatcher = Dispatcher([KindsService()])
    call = call_of(KINDS_WATCH)
    call.rejected = Nope("unreadable")
    with pytest.raises(Nope):
        await dispatcher.dispatch(dispatcher.endpoints[KINDS_WATCH.name], Ping(), call)


async def test_current_call_is_left_behind_in_every_case() -> None:
    """After success and after failure there is no current call."""

    class Kinds(KindsService):
        async def echo(self, request: Ping, call: Call) -> Pong:
            assert current_call() is call
            if request.text == "fail":
                raise Nope("no")
            return Pong()

    await dispatch(Kinds())
    assert current_call() is None
    with pytest.raises(Nope):
        await dispatch(Kinds(), request=Ping(text="fail"))
    assert current_call() is None


async def test_a_reply_where_a_stream_belongs() -> None:
    """Asking a unary call to stream is a defect with a name."""
    with pytest.raises(RuntimeError, match="answers with one reply"):
        await call_of().stream_reply(Pong())


@pytest.mark.parametrize("middleware", [0, 1, 4])
async def test_frames(middleware: int) -> None:
    """A traceback has two frames of ours on the server and four at most on the client, one more per middleware."""

    class Kinds(KindsService):
        async def echo(self, request: Ping, call: Call) -> Pong:
            raise Nope("look at my traceback")

    async def transparent(request: Any, call: Call, next: Handler) -> Any:
        return await next(request, call)

    chain = [transparent] * middleware
    async with serve(Kinds(), middleware=chain, client_middleware=chain) as conn:
        with pytest.raises(Error) as failure:
            await KindsClient(conn).echo(Ping())
    client = [frame.name for frame in traceback.extract_tb(failure.value.__traceback__)][1:]
    assert failure.value.__cause__ is not None
    server = [frame.name for frame in traceback.extract_tb(failure.value.__cause__.__traceback__)]
    # In memory the server's error also crosses the channel, which a socket would not let it: cut that off.
    server = server[server.index("_answer") :]
    assert server == ["_answer", "dispatch", *["transparent"] * middleware, "echo"]
    assert client == ["echo", "unary", *["transparent"] * middleware, "_send", "unary"]
