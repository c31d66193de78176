"""What takes spans and logs in by OTLP over gRPC, and keeps nothing: all answers are empty messages."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc
import grpc.aio


class Anything(grpc.GenericRpcHandler):
    """Answers each unary call."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(answer)


async def answer(request: bytes, context: Any) -> bytes:
    return b""


async def main() -> None:
    server = grpc.aio.server(handlers=(Anything(),))
    print(json.dumps({"otlp": server.add_insecure_port("127.0.0.1:0")}), flush=True)
    await server.start()
    await server.wait_for_termination()


asyncio.run(main())
