"""The process that takes and gives large bodies; what its handlers have seen is told at ``/state``."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator

import uvloop

from kratos import App, Call, HTTPServer, Shutdown
from kratos.handler import Messages
from kratos.operation import ClientStream, Http, ServerStream, Unary
from kratos.service import Service
from kratos.wire.errors.errors_pb import Status
from kratos.wire.google.api.httpbody_pb import HttpBody

PIECE = bytes(64 * 1024)
PIECES = 2**30 // len(PIECE)


class Files(Service):
    """Takes and gives a gibibyte, with a file open all the while."""

    __operations__ = (
        ("up", ClientStream("/files.v1.Files/Up", HttpBody, HttpBody, http=(Http("POST", "/file", body="*"),))),
        ("down", ServerStream("/files.v1.Files/Down", Status, HttpBody, http=(Http("GET", "/file"),))),
        ("state", Unary("/files.v1.Files/State", Status, Status, http=(Http("GET", "/state"),))),
    )

    def __init__(self) -> None:
        self.cancelled = 0

    async def up(self, requests: Messages[HttpBody], call: Call) -> HttpBody:
        size = 0
        with tempfile.TemporaryFile():
            try:
                async for request in requests:
                    size += len(request.data)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return HttpBody(data=str(size).encode())

    async def down(self, request: Status, call: Call) -> AsyncIterator[HttpBody]:
        with tempfile.TemporaryFile():
            try:
                for _ in range(PIECES):
                    yield HttpBody(content_type="application/octet-stream", data=PIECE)
            except GeneratorExit:  # what a generator sees that is left while it waits for its turn
                self.cancelled += 1
                raise

    async def state(self, request: Status, call: Call) -> Status:
        return Status(code=self.cancelled, metadata={"tasks": str(len(asyncio.all_tasks()))})


async def serve() -> None:
    server = HTTPServer("127.0.0.1:0", timeout=None)
    async with App(name="files", services=[Files()], servers=[server], shutdown=Shutdown(finish=1, drain=0)):
        print(server.endpoint, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
