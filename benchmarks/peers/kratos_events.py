"""Streams of ours over HTTP whose events say when they were made."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import uvloop

from kratos import App, Call, HTTPServer, Shutdown
from kratos.operation import Http, ServerStream
from kratos.service import Service
from kratos.wire.errors.errors_pb import Status


class Clock(Service):
    __operations__ = (("tick", ServerStream("/clock.v1.Clock/Tick", Status, Status, http=(Http("GET", "/tick"),))),)

    async def tick(self, request: Status, call: Call) -> AsyncIterator[Status]:
        while True:
            yield Status(message=str(time.monotonic_ns()))
            await asyncio.sleep(1)


async def serve() -> None:
    server = HTTPServer("127.0.0.1:0")
    async with App(name="clock", services=[Clock()], servers=[server], shutdown=Shutdown(finish=1, drain=0)):
        print(json.dumps({"http": urlsplit(server.endpoint).port}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
