"""A node whose calls need the CPU: ``python burning.py SECONDS``; says where it is in a line of JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from chaos.serving import Forgetful
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Kinds

from kratos import App, Call, GRPCServer, HTTPServer
from kratos.middleware import ratelimit, recovery


class Burning(Kinds):
    """Seconds of CPU and not of time: what others take of the machine is not work that is done."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.calls = Forgetful()
        self._seconds = seconds

    async def echo(self, request: Ping, call: Call) -> Pong:
        end = time.thread_time() + self._seconds
        while time.thread_time() < end:
            pass
        return Pong(text=request.text)


async def main(seconds: float) -> None:
    servers = {
        "http": HTTPServer("127.0.0.1:0"),
        "native": GRPCServer("127.0.0.1:0", engine="native"),
        "grpcio": GRPCServer("127.0.0.1:0"),
    }
    middleware = [recovery(), ratelimit()]
    async with App(name="kinds", services=[Burning(seconds)], servers=[*servers.values()], middleware=middleware):
        print(json.dumps({name: server.endpoint for name, server in servers.items()}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
