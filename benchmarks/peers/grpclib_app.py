"""The same greeter and stream on grpclib and google's message runtime, on the event loop that the others have."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import uvloop
from google_messages import HelloReply, HelloRequest, Ping, Pong
from grpclib.const import Cardinality, Handler
from grpclib.server import Server


class Greeter:
    async def say_hello(self, stream: Any) -> None:
        request = await stream.recv_message()
        await stream.send_message(HelloReply(message=f"Hello {request.name}"))

    def __mapping__(self) -> dict[str, Handler]:
        handler = Handler(self.say_hello, Cardinality.UNARY_UNARY, HelloRequest, HelloReply)
        return {"/fixture.helloworld.v1.Greeter/SayHello": handler}


class Kinds:
    async def watch(self, stream: Any) -> None:
        request = await stream.recv_message()
        for number in range(request.count):
            await stream.send_message(Pong(text=request.text, count=number))

    def __mapping__(self) -> dict[str, Handler]:
        return {"/fixture.kinds.v1.Kinds/Watch": Handler(self.watch, Cardinality.UNARY_STREAM, Ping, Pong)}


async def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server([Greeter(), Kinds()])
    await server.start(sock=listener)
    print(json.dumps({"grpc": listener.getsockname()[1]}), flush=True)
    await asyncio.Event().wait()


uvloop.run(main())
