"""A greeter of ours over HTTP and gRPC, and a stream: ``python kratos_app.py bare`` or ``full``, with the usual
middleware, and the gRPC engine if it is not ``grpcio``.

Each program in this folder listens on free ports, says which on its first line of output, as JSON, and serves until it
is ended.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import uvloop

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GreeterService
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply, HelloRequest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsService
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong

from kratos import App, Call, GRPCServer, HTTPServer, Middleware
from kratos.middleware import access_log, metadata, recovery


class Greeter(GreeterService):
    async def say_hello(self, request: HelloRequest, call: Call) -> HelloReply:
        return HelloReply(message=f"Hello {request.name}")


class Stream(KindsService):
    async def watch(self, request: Ping, call: Call) -> AsyncIterator[Pong]:
        for number in range(request.count):
            yield Pong(text=request.text, count=number)


async def main(variant: str, engine: Literal["grpcio", "native"] = "grpcio") -> None:
    usual: list[Middleware] = [recovery(), access_log(), metadata()]
    app = App(
        name="bench",
        services=[Greeter(), Stream()],
        middleware=usual if variant == "full" else [],
        servers=[HTTPServer("127.0.0.1:0"), GRPCServer("127.0.0.1:0", engine=engine)],
    )
    async with app:
        print(json.dumps({urlsplit(url).scheme: urlsplit(url).port for url in app.info.endpoints}), flush=True)
        await asyncio.Event().wait()


uvloop.run(main(*sys.argv[1:]))  # type: ignore[arg-type]  # the words of its parameters
