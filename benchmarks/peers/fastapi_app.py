"""The same greeter on FastAPI and uvicorn, without any middleware or access log."""

from __future__ import annotations

import json
import socket

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/helloworld/{name}")
async def say_hello(name: str) -> dict[str, str]:
    return {"message": f"Hello {name}"}


listener = socket.create_server(("127.0.0.1", 0))
print(json.dumps({"http": listener.getsockname()[1]}), flush=True)
uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning")).run(sockets=[listener])
