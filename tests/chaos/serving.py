"""The process that the chaos tests run: all four kinds over HTTP and gRPC, ready to misbehave as told.

python serving.py FINISH LINGER ENGINE [HTTP GRPC]: seconds that calls may take to finish, seconds that the hook takes
to leave, what carries gRPC, and the ports to listen at.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from roundtrip.service import Kinds

from kratos import App, Call, GRPCServer, HTTPServer, Shutdown


class Forgetful(list[Call]):
    """The fixture's memory, without any: tests look at how much of it a server needs."""

    def append(self, call: Call) -> None:
        """Keeps nothing."""


def main(finish: float, linger: float, engine: Any, http: int = 0, grpc: int = 0) -> None:
    @asynccontextmanager
    async def hook(app: App) -> AsyncIterator[None]:
        yield
        print("leaving", flush=True)
        await asyncio.sleep(linger)
        print("left", flush=True)

    service = Kinds()
    service.calls = Forgetful()
    App(
        name="chaos",
        services=[service],
        servers=[
            HTTPServer(f"127.0.0.1:{http}", timeout=None),
            GRPCServer(f"127.0.0.1:{grpc}", timeout=None, engine=engine),
        ],
        hooks=[hook],
        shutdown=Shutdown(finish=finish, hook=2.0),
    ).run()
    print("done", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), sys.argv[3], *map(int, sys.argv[4:]))
