"""A greeter and a stream of ours over gRPC: ``python kratos_app.py bare`` or ``full``, with the usual middleware, and
the engine if it is not ``grpcio``.

Each program in this folder listens on free ports, says which on its first line of output, as JSON, and serves until it
is ended.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Literal
from urllib.parse import urlsplit

import uvloop
from kratos_services import Greeter, Stream, equipped

from kratos import App, GRPCServer


async def main(variant: str, engine: Literal["grpcio", "native"] = "grpcio") -> None:
    middleware, hooks = equipped(variant)
    app = App(
        name="bench",
        services=[Greeter(), Stream()],
        middleware=middleware,
        hooks=hooks,
        servers=[GRPCServer("127.0.0.1:0", engine=engine)],
    )
    async with app:
        print(json.dumps({urlsplit(url).scheme: urlsplit(url).port for url in app.info.endpoints}), flush=True)
        await asyncio.Event().wait()


uvloop.run(main(*sys.argv[1:]))  # type: ignore[arg-type]  # the words of its parameters
