"""The process that is attacked: the catalogue and raw bodies in every encoding, on a free port.

python serving.py [--files N] [--engine NAME]: with at most so many open files, by that engine.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
from typing import Literal

import uvloop
from unit.transport.raw_service import Files

from catalogue.service import services
from kratos import App, HTTPServer, Shutdown
from kratos.codec import DEFAULT_CODECS, FormCodec, XmlCodec, YamlCodec
from kratos.contrib.msgpack import MsgpackCodec
from kratos.middleware import recovery
from kratos.transport.http import Format


async def serve(engine: Literal["fast", "asgi"]) -> None:
    server = HTTPServer(
        "127.0.0.1:0",
        codecs=DEFAULT_CODECS.with_(FormCodec(), YamlCodec(), XmlCodec(), MsgpackCodec()),
        format=Format(compress_over=1024),
        engine=engine,
    )
    app = App(
        name="catalogue",
        services=[*services(), Files()],
        servers=[server],
        middleware=[recovery()],
        shutdown=Shutdown(finish=1, drain=0),
    )
    async with app:
        print(server.endpoint, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int)
    parser.add_argument("--engine", default="fast")
    chosen = parser.parse_args()
    if chosen.files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (chosen.files, chosen.files))
    uvloop.run(serve(chosen.engine))
