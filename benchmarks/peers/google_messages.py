"""The messages of greeter and stream in google's runtime, made from descriptors."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

__all__ = ["HelloReply", "HelloRequest", "Ping", "Pong"]

FIELD = descriptor_pb2.FieldDescriptorProto


def message(file: descriptor_pb2.FileDescriptorProto, name: str, /, **fields: Any) -> None:
    """Adds a message with fields of types."""
    new = file.message_type.add(name=name)
    for number, (field, type_) in enumerate(fields.items(), 1):
        new.field.add(name=field, number=number, type=type_, label=FIELD.LABEL_OPTIONAL)


file = descriptor_pb2.FileDescriptorProto(name="greeter.proto", package="peer", syntax="proto3")
message(file, "HelloRequest", name=FIELD.TYPE_STRING)
message(file, "HelloReply", message=FIELD.TYPE_STRING)
message(file, "Ping", text=FIELD.TYPE_STRING, count=FIELD.TYPE_INT32)
message(file, "Pong", text=FIELD.TYPE_STRING, count=FIELD.TYPE_INT32)
pool = descriptor_pool.DescriptorPool()
pool.Add(file)
HelloRequest: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("peer.HelloRequest"))
HelloReply: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("peer.HelloReply"))
Ping: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("peer.Ping"))
Pong: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("peer.Pong"))
