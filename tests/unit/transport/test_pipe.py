"""The hand-over between the two tasks of a stream."""

from __future__ import annotations

import asyncio

import pytest

from kratos.errors import ClientClosed, NotFound
from kratos.transport.pipe import Pipe


async def test_messages_arrive_in_order() -> None:
    """What is put comes out, in order, and then the end."""
    pipe: Pipe[int] = Pipe(3)
    for number in range(3):
        await pipe.put(number)
    pipe.close()
    assert [item async for item in pipe] == [0, 1, 2]
    with pytest.raises(StopAsyncIteration):
        await anext(pipe)


async def test_writer_waits_for_room() -> None:
    """A full pipe holds its writer until the reader takes one."""
    pipe: Pipe[int] = Pipe(1)
    await pipe.put(1)
    writer = asyncio.create_task(pipe.put(2))
    await asyncio.sleep(0)
    assert not writer.done()
    assert await anext(pipe) == 1
    await writer
    assert await anext(pipe) == 2


async def test_waiting_messages_come_before_the_error() -> None:
    """A failure does not swallow what was sent before it."""
    pipe: Pipe[int] = Pipe(2)
    await pipe.put(1)
    pipe.close(NotFound("gone"))
    pipe.close()  # only the first word counts
    assert await anext(pipe) == 1
    with pytest.raises(NotFound):
        await anext(pipe)
    with pytest.raises(NotFound):
        await pipe.put(2)


async def test_closing_wakes_both_sides() -> None:
    """Nobody waits for ever on a closed pipe."""
    full: Pipe[int] = Pipe(1)
    await full.put(1)
    writer = asyncio.create_task(full.put(2))
    empty: Pipe[int] = Pipe(1)
    reader = asyncio.create_task(anext(empty))  # type: ignore[arg-type]  # typeshed knows anext as an awaitable
    await asyncio.sleep(0)
    full.close()
    empty.close()
    with pytest.raises(ClientClosed, match="ended the stream"):
        await writer
    with pytest.raises(StopAsyncIteration):
        await reader


async def test_cancelled_waiter_is_forgotten() -> None:
    """A cancelled writer leaves the pipe usable."""
    pipe: Pipe[int] = Pipe(1)
    await pipe.put(1)
    writers = [asyncio.create_task(pipe.put(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    writers[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await writers[0]
    assert await anext(pipe) == 1
    await writers[1]
    assert await anext(pipe) == 3
