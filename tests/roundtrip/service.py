"""A service of all four kinds, a middleware that counts, and a check that nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import AsyncGeneratorType
from typing import Any

from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope, OddCode
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsService
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong

from kratos.call import Call, current_call
from kratos.handler import Handler, Messages


class Kinds(KindsService):
    """Echoes. The text decides what happens: ``nope``, ``odd``, ``crash`` and ``hang`` misbehave."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.closed = 0
        self.hanging = 0

    async def _misbehave(self, text: str) -> None:
        if text == "nope":
            raise Nope("not here", metadata={"text": text})
        if text == "odd":
            raise OddCode("odd", metadata={"k": "v"})
        if text == "crash":
            raise ValueError("secret-db-password")
        if text == "hang":
            self.hanging += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.hanging -= 1

    async def echo(self, request: Ping, call: Call) -> Pong:
        assert current_call() is call
        self.calls.append(call)
        await self._misbehave(request.text)
        return Pong(text=request.text, count=request.count)

    async def watch(self, request: Ping, call: Call) -> AsyncIterator[Pong]:
        self.calls.append(call)
        try:
            for number in range(request.count):
                yield Pong(text=request.text, count=number)
            await self._misbehave(request.text)
        finally:
            self.closed += 1

    async def collect(self, requests: Messages[Ping], call: Call) -> Pong:
        self.calls.append(call)
        texts = []
        async for ping in requests:
            await self._misbehave(ping.text)
            texts.append(ping.text)
            if ping.text == "enough":
                break
        return Pong(text=" ".join(texts), count=len(texts))

    async def chat(self, requests: Messages[Ping], call: Call) -> AsyncIterator[Pong]:
        self.calls.append(call)
        try:
            async for ping in requests:
                await self._misbehave(ping.text)
                if ping.text == "bye":
                    return
                yield Pong(text=ping.text, count=ping.count)
        finally:
            self.closed += 1


class Counting:
    """Counts what passes: opened and closed calls, how they ended, requests and replies."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    async def __call__(self, request: Any, call: Call, next: Handler) -> Any:
        self.seen["open"] += 1
        call.each_reply(self._reply)
        if isinstance(request, Messages):
            request = request.map(self._request)
        else:
            self.seen["requests"] += 1
        try:
            reply = await next(request, call)
        except asyncio.CancelledError:
            self.seen["cancelled"] += 1
            raise
        except Exception as failure:
            self.seen[type(failure).__name__] += 1
            raise
        else:
            self.seen["ok"] += 1
            self.seen["replies"] += reply is not None
            return reply
        finally:
            self.seen["close"] += 1

    def _request(self, message: Any) -> Any:
        self.seen["requests"] += 1
        return message

    async def _reply(self, message: Any) -> Any:
        self.seen["replies"] += 1
        return message


@contextmanager
def nothing_left() -> Iterator[None]:
    """Asserts that tasks, async generators and the current call are as they were before."""
    tasks = _other_tasks()
    generators = _running_generators()
    yield
    assert _other_tasks() == tasks
    assert _running_generators() == generators
    assert current_call() is None


def _other_tasks() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]  # None is in no set of tasks


def _running_generators() -> int:
    gc.collect()
    return sum(isinstance(thing, AsyncGeneratorType) and thing.ag_frame is not None for thing in gc.get_objects())
