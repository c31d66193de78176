"""The server under test: ``python -m interop.connect.serving grpcio`` or ``native``.

It is told on standard input what to be, says where it listens, and serves until SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import grpc

from interop.connect import wire
from interop.connect.gen.connectrpc.conformance.v1.server_compat_pb import ServerCompatRequest, ServerCompatResponse
from interop.connect.service import Conformance
from kratos.app import App, Shutdown
from kratos.call import Call
from kratos.errors import Error
from kratos.handler import Handler
from kratos.middleware import recovery
from kratos.transport.grpc import GRPCServer, Limits


async def plain(request: Any, call: Call, next: Handler) -> Any:
    """Takes from errors what only we have: the suite compares details to the letter, and ours say a reason."""
    try:
        return await next(request, call)
    except Error as error:
        raise Error(error.message, grpc_code=error.grpc_code, details=error.details) from error
    except asyncio.CancelledError:
        if call.overdue:
            raise Error("time is up", grpc_code=grpc.StatusCode.DEADLINE_EXCEEDED.value[0]) from None
        raise


async def serve(engine: str) -> None:
    """Serves what the suite asks for."""
    told = wire.read(ServerCompatRequest)
    assert told is not None
    with wire.Files() as files:
        server = GRPCServer("127.0.0.1:0", engine=engine, timeout=None, **_options(engine, told, files))
        app = App(
            name="conformance", services=[Conformance()], servers=[server], middleware=[recovery(), plain],
            shutdown=Shutdown(finish=1, drain=0),
        )  # fmt: skip
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        async with app:
            host, _, port = server.endpoint.rpartition("://")[2].rpartition(":")
            cert = told.server_creds.cert if told.use_tls and told.server_creds is not None else b""
            wire.write(ServerCompatResponse(host=host, port=int(port), pem_cert=cert))
            await stop.wait()


def _options(engine: str, told: ServerCompatRequest, files: wire.Files) -> dict[str, Any]:
    options: dict[str, Any] = {"compress_over": 0} if engine == "grpcio" else {}  # the other one does not compress
    if told.message_receive_limit:
        options["limits"] = Limits(max_message=told.message_receive_limit)
    if told.use_tls:
        options["tls"] = files.tls(told.server_creds, told.client_tls_cert)
    return options


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
