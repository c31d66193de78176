"""How every peer that is an ASGI application is served: uvicorn on uvloop and httptools, without an access log."""

from __future__ import annotations

import json
import socket
from typing import Any

import uvicorn

__all__ = ["serve"]


def serve(app: Any) -> None:
    """Listens on a free port, says which, and serves until the process ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"http": listener.getsockname()[1]}), flush=True)
    config = uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])
