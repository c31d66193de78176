"""The same greeter on bare grpc.aio and google's own message runtime, on the event loop that the others have."""

from __future__ import annotations

import json
from typing import Any

import grpc
import grpc.aio
import uvloop
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELD = descriptor_pb2.FieldDescriptorProto


def message(file: descriptor_pb2.FileDescriptorProto, name: str, field: str) -> None:
    """Adds a message with one string."""
    file.message_type.add(name=name).field.add(name=field, number=1, type=FIELD.TYPE_STRING, label=FIELD.LABEL_OPTIONAL)


file = descriptor_pb2.FileDescriptorProto(name="greeter.proto", package="peer", syntax="proto3")
message(file, "HelloRequest", "name")
message(file, "HelloReply", "message")
pool = descriptor_pool.DescriptorPool()
pool.Add(file)
HelloRequest: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("peer.HelloRequest"))
HelloReply: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("peer.HelloReply"))


async def say_hello(request: Any, context: Any) -> Any:
    return HelloReply(message=f"Hello {request.name}")


async def main() -> None:
    method = grpc.unary_unary_rpc_method_handler(
        say_hello, request_deserializer=HelloRequest.FromString, response_serializer=HelloReply.SerializeToString
    )
    server = grpc.aio.server()
    handlers = grpc.method_handlers_generic_handler("fixture.helloworld.v1.Greeter", {"SayHello": method})
    server.add_generic_rpc_handlers((handlers,))
    print(json.dumps({"grpc": server.add_insecure_port("127.0.0.1:0")}), flush=True)
    await server.start()
    await server.wait_for_termination()


uvloop.run(main())
