"""A gRPC server for large messages, many streams and broken peers. It prints its URL.

python streaming.py usual|large ENGINE [CERTIFICATE KEY]
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator
from typing import Any

from chaos.serving import Forgetful
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Kinds

from kratos import TLS, App, Call, GRPCServer
from kratos.transport.grpc import Limits

MIB = 2**20


class Streaming(Kinds):
    """Answers with so many bytes as it is asked for, streams for ever, and tells how many handlers run."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = Forgetful()
        self.handlers = 0

    async def echo(self, request: Ping, call: Call) -> Pong:
        if request.text == "large":
            return Pong(text="x" * request.count)
        if request.text == "state":
            gc.collect()  # grpcio keeps a connection while there is a traceback that leads to a call
            return Pong(text=str(self.handlers + self.hanging), count=len(asyncio.all_tasks()))
        return Pong(text=request.text)

    async def watch(self, request: Ping, call: Call) -> AsyncIterator[Pong]:
        self.handlers += 1
        try:
            while True:
                yield Pong(text="x" * 100)
                await asyncio.sleep(2.0)
        finally:
            self.handlers -= 1


def main(kind: str, engine: Any, *files: str) -> None:
    limits = Limits(max_message=200 * MIB) if kind == "large" else Limits()
    tls = TLS(cert=files[0], key=files[1]) if files else None
    server = GRPCServer("127.0.0.1:0", timeout=None, engine=engine, limits=limits, tls=tls)
    app = App(name="streaming", services=[Streaming()], servers=[server], middleware=[])

    async def serve() -> None:
        await app.serve(announce=lambda _: print(server.endpoint, flush=True))

    asyncio.run(serve())


if __name__ == "__main__":
    main(*sys.argv[1:])
