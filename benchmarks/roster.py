"""Who takes part: each server that can be asked over HTTP, and over gRPC."""

from __future__ import annotations

from servers import Program

__all__ = [
    "AIO",
    "CONNECT",
    "CONNECT_WEB",
    "FASTAPI",
    "GO",
    "GO_WEB",
    "GRPC",
    "GRPCLIB",
    "LITESTAR",
    "OURS",
    "STARLETTE",
    "UVICORN",
    "WEB",
]

UVICORN = ("uvicorn", "httptools", "uvloop")
OURS = ("kratos-py", "protobuf-py")

FASTAPI = Program("FastAPI", "fastapi_app.py", needs=("fastapi", "pydantic", *UVICORN))
LITESTAR = Program("Litestar", "litestar_app.py", needs=("litestar", "msgspec", *UVICORN))
STARLETTE = Program("Starlette", "starlette_app.py", needs=("starlette", *UVICORN))
CONNECT_WEB = Program(
    "connectrpc on uvicorn", "connect_app.py", ("uvicorn",), needs=("connectrpc", "protobuf-py", *UVICORN)
)
GO_WEB = Program("Kratos for Go, one core")
GO = Program("Kratos for Go, one core", port="grpc")
AIO = Program("grpc.aio", "grpc_aio.py", needs=("grpcio", "protobuf", "uvloop"), port="grpc")
GRPCLIB = Program("grpclib", "grpclib_app.py", needs=("grpclib", "protobuf", "uvloop"), port="grpc")
CONNECT = Program(
    "connectrpc on pyvoy", "connect_app.py", ("pyvoy",), needs=("connectrpc", "pyvoy", "protobuf-py"), port="grpc"
)

WEB = {
    (front, variant): Program(
        f"ours, {front}, {variant}", "kratos_web.py", (variant, front), (*OURS, *UVICORN), port=front, ours=True
    )
    for front in ("fast", "asgi")
    for variant in ("bare", "full")
}
"""Ours over HTTP, by front and middleware."""

GRPC = {
    (engine, variant): Program(
        f"ours, {engine}, {variant}", "kratos_app.py", (variant, engine), (*OURS, needed), port="grpc", ours=True
    )
    for engine, needed in (("grpcio", "grpcio"), ("native", "pygrpc-native"))
    for variant in ("bare", "full")
}
"""Ours over gRPC, by engine and middleware."""
