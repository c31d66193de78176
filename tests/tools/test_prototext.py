"""Descriptors back to source: what is compiled from the source is the same again."""

from __future__ import annotations

from pathlib import Path

import pytest
from protobuf.wkt import FileDescriptorProto
from protobuf.wkt.google.protobuf.descriptor_pb import DescriptorProto, FieldDescriptorProto

from kratos.tools.codegen.prototext import source

from .conftest import image

PROTOS = {
    "a/modern.proto": """
        syntax = "proto3"; package a; import "google/protobuf/duration.proto";
        message Everything {
          string text = 1; optional int32 maybe = 2; repeated sint64 many = 3; map<string, Inner> inner = 4;
          repeated fixed32 loose = 5 [packed = false]; google.protobuf.Duration took = 6; Kind kind = 7;
          oneof choice { bytes raw = 8; Inner one = 9; }
          map<int32, double> numbers = 10;
          message Inner { bool yes = 1; enum Deep { DEEP_UNSPECIFIED = 0; } Deep deep = 2; }
          reserved 20, 30 to 40; reserved "old", "older";
        }
        enum Kind { option allow_alias = true; NONE = 0; NOTHING = 0; LESS = -1; reserved 5 to 7; reserved "GONE"; }
        """,
    "a/old.proto": """
        syntax = "proto2"; package a; import "a/modern.proto"; import "google/protobuf/descriptor.proto";
        message Old {
          required string name = 1 [default = "a \\"b\\" \\n"]; optional int32 count = 2 [default = -3];
          optional Kind kind = 3 [default = LESS]; repeated int32 packed = 4 [packed = true];
          optional bytes raw = 5 [default = "\\001x"]; optional bool on = 6 [default = true];
          extensions 100 to 199, 1000 to max;
          extend Old { optional string more = 100; }
        }
        extend google.protobuf.FieldOptions { optional Old note = 50001; }
        """,
}


def bare(file: FileDescriptorProto) -> FileDescriptorProto:
    """Returns a descriptor without places, and with members in an order that means nothing."""
    copy = FileDescriptorProto.from_binary(file.to_binary())
    copy.source_code_info = None
    _sort(copy.message_type)
    return copy


def _sort(messages: list[DescriptorProto]) -> None:
    messages.sort(key=lambda message: message.name)
    for message in messages:
        message.field.sort(key=lambda field: field.number)
        _sort(message.nested_type)


def test_there_and_back(tmp_path: Path) -> None:
    """Both syntaxes, every kind of declaration: source, descriptor, source, descriptor."""
    for name, text in PROTOS.items():
        (tmp_path / "api" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "api" / name).write_text(text)
    first = {file.name: bare(file) for file in image(tmp_path / "api").file}
    for name in PROTOS:
        (tmp_path / "api" / name).write_text(source(first[name]))
    second = {file.name: bare(file) for file in image(tmp_path / "api").file}
    for name in PROTOS:
        assert second[name] == first[name]


def test_what_cannot_be_written() -> None:
    """Editions and groups are refused by name."""
    with pytest.raises(ValueError, match=r"a\.proto: editions cannot be written back"):
        source(FileDescriptorProto(name="a.proto", syntax="editions"))
    group = FieldDescriptorProto(name="g", number=1, type=FieldDescriptorProto.Type.GROUP)
    with pytest.raises(ValueError, match="g is a group"):
        source(FileDescriptorProto(name="a.proto", message_type=[DescriptorProto(name="M", field=[group])]))
