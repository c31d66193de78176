"""The same greeter and stream on bare grpc.aio and google's message runtime, on the event loop that the others have."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import uvloop
from google_messages import HelloReply, HelloRequest, Ping, Pong


async def say_hello(request: Any, context: Any) -> Any:
    return HelloReply(message=f"Hello {request.name}")


async def watch(request: Any, context: Any) -> AsyncIterator[Any]:
    for number in range(request.count):
        yield Pong(text=request.text, count=number)


async def main(*interceptors: Any) -> None:
    method = grpc.unary_unary_rpc_method_handler(
        say_hello, request_deserializer=HelloRequest.FromString, response_serializer=HelloReply.SerializeToString
    )
    stream = grpc.unary_stream_rpc_method_handler(
        watch, request_deserializer=Ping.FromString, response_serializer=Pong.SerializeToString
    )
    server = grpc.aio.server(interceptors=interceptors)
    for service, methods in (
        ("fixture.helloworld.v1.Greeter", {"SayHello": method}),
        ("fixture.kinds.v1.Kinds", {"Watch": stream}),
    ):
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    print(json.dumps({"grpc": server.add_insecure_port("127.0.0.1:0")}), flush=True)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main())
