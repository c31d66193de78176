"""Our definition of etcd's API beside somebody else's copy of the original: the same names, numbers and types."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from protobuf.wkt import FileDescriptorProto, FileDescriptorSet
from protobuf.wkt.google.protobuf.descriptor_pb import DescriptorProto, EnumDescriptorProto

from kratos.wire.etcd.etcdserverpb.rpc_pb import PutRequest, RangeRequest, WatchResponse
from kratos.wire.etcd.mvccpb.kv_pb import KeyValue

THEIRS = """
import sys
from etcd3aio.proto.etcd.api.etcdserverpb import rpc_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
files = FileDescriptorSet()
for file in (rpc_pb2.DESCRIPTOR, *rpc_pb2.DESCRIPTOR.dependencies):
    file.CopyToProto(files.file.add())
sys.stdout.buffer.write(files.SerializeToString())
"""


def facts(file: FileDescriptorProto) -> Iterator[tuple[str, ...]]:
    """Yields what has to agree, one line for each field, value and method."""
    package = f".{file.package}"
    for message in file.message_type:
        yield from _message(f"{package}.{message.name}", message)
    for service in file.service:
        for each in service.method:
            streams = f"{each.client_streaming} {each.server_streaming}"
            yield f"{package}.{service.name}/{each.name}", each.input_type, each.output_type, streams


def _message(name: str, message: DescriptorProto) -> Iterator[tuple[str, ...]]:
    for field in message.field:
        oneof = message.oneof_decl[field.oneof_index].name if field.has_field("oneof_index") else ""
        yield f"{name}.{field.name}", str(field.number), str(field.type), str(field.label), field.type_name, oneof
    for enum in message.enum_type:
        yield from _enum(f"{name}.{enum.name}", enum)


def _enum(name: str, enum: EnumDescriptorProto) -> Iterator[tuple[str, ...]]:
    for value in enum.value:
        yield f"{name}.{value.name}", str(value.number)


@pytest.mark.parametrize("type_", [RangeRequest, KeyValue], ids=["rpc", "kv"])
def test_numbers(type_: type) -> None:
    """Whatever we know of the API is in the original, exactly so."""
    done = subprocess.run([sys.executable, "-c", THEIRS], capture_output=True, check=True, timeout=60)
    theirs = {fact for file in FileDescriptorSet.from_binary(done.stdout).file for fact in facts(file)}
    ours = {*facts(type_.desc().file.proto)}
    assert len(ours) > 8
    assert ours <= theirs, ours - theirs


def test_what_is_new_is_ignored() -> None:
    """A newer server may say more than we know."""
    more = bytes.fromhex("f20603616263")  # field 110, three bytes
    assert WatchResponse.from_binary(WatchResponse(watch_id=7).to_binary() + more).watch_id == 7
    assert PutRequest.from_binary(PutRequest(key=b"a").to_binary() + more).to_binary().endswith(more)
