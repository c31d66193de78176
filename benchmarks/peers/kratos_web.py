"""A greeter, orders and a stream of ours over HTTP: ``python kratos_web.py bare`` or ``full``, and the fronts if it
is not both.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from urllib.parse import urlsplit

import uvloop
from kratos_services import Greeter, Orders, Stream, equipped

from kratos import App, HTTPServer


async def main(variant: str, *fronts: Any) -> None:
    servers = {front: HTTPServer("127.0.0.1:0", engine=front) for front in fronts or ("fast", "asgi")}
    middleware, hooks = equipped(variant)
    app = App(
        name="bench",
        services=[Greeter(), Orders(), Stream()],
        middleware=middleware,
        hooks=hooks,
        servers=list(servers.values()),
    )
    async with app:
        print(json.dumps({front: urlsplit(each.endpoint).port for front, each in servers.items()}), flush=True)
        await asyncio.Event().wait()


uvloop.run(main(*sys.argv[1:]))
