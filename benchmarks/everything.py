"""Unary calls with all that a service on call has: ours and its peers, each with what is usual there.

    python benchmarks/everything.py [--rounds 3] [--seconds 3] [--json FILE]

Measured as ``unary.py``, with the same greetings. Ours have ``recovery()``, ``tracing()`` (1 % of the traces, sent by
OTLP), ``metrics()``, ``metadata()`` and ``access_log()`` as JSON to a file. FastAPI has the instrumentations of
OpenTelemetry (1 %, OTLP) and of Prometheus, and uvicorn's access log as JSON to a file; grpc.aio has OpenTelemetry's,
and logs nothing. No request names a trace, so that each server decides which ones it records; what takes the spans in
is a process of its own. Four minutes.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from loads import GET, UNARY
from measure import Contest, Entry, Load, finish, options, run
from record import Goal
from roster import OURS, UVICORN
from servers import PEERS, Program, started

SINK = Program("what takes spans in", "otlp_sink.py", needs=("grpcio",), port="otlp")
SENT = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-grpc")
FASTAPI = Program(
    "FastAPI, instrumented",
    "fastapi_watched.py",
    needs=(
        "fastapi", "pydantic", *UVICORN, *SENT, "opentelemetry-instrumentation-fastapi",
        "prometheus-fastapi-instrumentator", "python-json-logger",
    ),
)  # fmt: skip
AIO = Program(
    "grpc.aio, instrumented",
    "grpc_watched.py",
    needs=("grpcio", "protobuf", "uvloop", *SENT, "opentelemetry-instrumentation-grpc"),
    port="grpc",
)
WEB = {
    front: Program(
        f"ours, {front}, everything",
        "kratos_web.py",
        ("everything", front),
        (*OURS, *UVICORN, *SENT),
        port=front,
        ours=True,
    )
    for front in ("fast", "asgi")
}
GRPC = {
    engine: Program(
        f"ours, {engine}, everything",
        "kratos_app.py",
        ("everything", engine),
        (*OURS, needed, *SENT),
        port="grpc",
        ours=True,
    )
    for engine, needed in (("grpcio", "grpcio"), ("native", "pygrpc-native"))
}


def rootless(load: Load) -> Load:
    """Returns a load whose requests name no trace."""
    return replace(load, headers={name: value for name, value in load.headers.items() if name != "traceparent"})


def contests() -> list[Contest]:
    """Returns who is watched over HTTP, and over gRPC."""
    http = [Entry(each, rootless(GET)) for each in (FASTAPI, *WEB.values())]
    grpc = [Entry(each, rootless(UNARY)) for each in (AIO, *GRPC.values())]
    return [
        Contest("HTTP GET with everything on", FASTAPI.name, http, [Goal(WEB["fast"].name, FASTAPI.name, "rate", 4.0)]),
        Contest("gRPC unary with everything on", AIO.name, grpc, [Goal(GRPC["native"].name, AIO.name, "rate", 4.0)]),
    ]


if __name__ == "__main__":
    wanted = options(__doc__)
    command = [sys.executable, str(PEERS / SINK.script)]
    with TemporaryDirectory() as folder, started(SINK, command, Path(folder)) as sink:
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{sink.port}"
        finish(run("everything", contests(), wanted), wanted)
