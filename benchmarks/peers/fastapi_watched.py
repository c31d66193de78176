"""The greeter on FastAPI with its usual instrumentations: OpenTelemetry's, Prometheus', an access log as JSON."""

from __future__ import annotations

import json
import logging
import socket
import sys

import uvicorn
from fastapi_app import app
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from prometheus_fastapi_instrumentator import Instrumentator
from pythonjsonlogger.json import JsonFormatter
from spans import provider

FastAPIInstrumentor.instrument_app(app, tracer_provider=provider())
Instrumentator().instrument(app).expose(app)

lines = logging.StreamHandler(sys.stderr)
lines.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
access = logging.getLogger("uvicorn.access")
access.handlers, access.propagate = [lines], False
access.setLevel(logging.INFO)

listener = socket.create_server(("127.0.0.1", 0))
print(json.dumps({"http": listener.getsockname()[1]}), flush=True)
uvicorn.Server(uvicorn.Config(app, loop="uvloop", http="httptools", log_config=None)).run(sockets=[listener])
