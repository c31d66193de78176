"""The process that the chaos tests run: all four kinds over HTTP and gRPC, ready to misbehave as told.

python serving.py FINISH [LINGER]: seconds that calls may take to finish, seconds that the hook takes to leave.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Kinds

from kratos import App, Call, GRPCServer, HTTPServer, Shutdown


class Forgetful(Kinds):
    """The fixture without its memory: tests look at how much of it a server needs."""

    async def echo(self, request: Ping, call: Call) -> Pong:
        reply = await super().echo(request, call)
        self.calls.clear()
        return reply


def main(finish: float, linger: float = 0.0) -> None:
    @asynccontextmanager
    async def hook(app: App) -> AsyncIterator[None]:
        yield
        print("leaving", flush=True)
        await asyncio.sleep(linger)
        print("left", flush=True)

    App(
        name="chaos",
        services=[Forgetful()],
        servers=[HTTPServer("127.0.0.1:0", timeout=None), GRPCServer("127.0.0.1:0", timeout=None)],
        hooks=[hook],
        shutdown=Shutdown(finish=finish, hook=2.0),
    ).run()
    print("done", flush=True)


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
