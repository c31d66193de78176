"""Names of tasks: what helps is kept, what may be a secret is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from kratos.admin.tasks import show_tasks
from kratos.transport.flight import awaited, flight


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Task-123456789", "Task-123456789"),
        ("kratos http clockwork", "kratos http clockwork"),
        ("HandleExceptions[/shop.v1.Orders/List]", "HandleExceptions[/shop.v1.Orders/List]"),
        ("order 4711", "order 4711"),
        ("fetch token=abc", "fetch token=***"),
        ("user=bob id=7", "user=*** id=***"),
        ("sk_live_51H8Example", "***"),
        ("for hunter2Swordfish77!", "for ***!"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0", "***.***"),
        ("Task-1-abcdefghijk", "Task-1-abcdefghijk"),
        ("amqp://u:p@host/", "amqp://u:***@host/"),
    ],
)
async def test_names(name: str, shown: str) -> None:
    """Names of the program are shown; keys, tokens and credentials are not."""
    task = asyncio.create_task(asyncio.Event().wait(), name=name)
    sheet = await show_tasks()
    task.cancel()
    assert shown in [row[0] for row in sheet.tables["tasks"].rows]


async def test_where_tasks_wait() -> None:
    """Coroutines, generators and iterators in between are followed to where a task really waits."""
    over = asyncio.Event()

    async def numbers() -> AsyncGenerator[int]:
        await over.wait()
        yield 1

    class Waiter:
        def __await__(self) -> object:
            return self.wait().__await__()

        async def wait(self) -> None:
            async for _ in numbers():
                pass

    async def work() -> None:
        await Waiter()  # type: ignore[misc]  # it is awaitable, and that it is no coroutine is the point

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    names = [getattr(each, "__qualname__", "").rpartition(".")[2] for each, _ in awaited(task)]
    assert names[:4] == ["work", "wait", "numbers", "wait"]
    assert flight(task) is None
    over.set()
    await task
    assert list(awaited(task))[1:] == []
