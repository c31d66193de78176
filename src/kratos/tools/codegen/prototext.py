"""Descriptors back to ``.proto`` source, for protos whose wheel carries only compiled code.

Declarations are complete; options are left out, but for what changes how fields are written. That is all a compiler
needs to check the files that import the result.
"""

from __future__ import annotations

from collections.abc import Iterator

from protobuf.wkt import FileDescriptorProto
from protobuf.wkt.google.protobuf.descriptor_pb import DescriptorProto, EnumDescriptorProto, FieldDescriptorProto

__all__ = ["source"]

_Label, _Type = FieldDescriptorProto.Label, FieldDescriptorProto.Type
_END = 2**29  # one beyond the highest field number


def source(file: FileDescriptorProto) -> str:
    """Returns the source of a file.

    Raises:
        ValueError: The file is neither proto2 nor proto3, or has a group.
    """
    syntax = file.syntax or "proto2"
    if syntax not in ("proto2", "proto3"):
        raise ValueError(f"{file.name}: {syntax} cannot be written back")
    return "\n".join([*_file(file, syntax), ""])


def _file(file: FileDescriptorProto, syntax: str) -> Iterator[str]:
    yield f'syntax = "{syntax}";'
    yield f"package {file.package};"
    for name in file.dependency:
        yield f'import "{name}";'
    for enum in file.enum_type:
        yield from _enum(enum)
    for message in file.message_type:
        yield from _message(message, syntax)
    for extension in file.extension:
        yield f"extend {extension.extendee} {{ {_field(extension, syntax)} }}"


def _message(message: DescriptorProto, syntax: str) -> Iterator[str]:
    yield f"message {message.name} {{"
    maps = {nested.name: nested for nested in message.nested_type if nested.options and nested.options.map_entry}
    for enum in message.enum_type:
        yield from _enum(enum)
    for nested in message.nested_type:
        if nested.name not in maps:
            yield from _message(nested, syntax)
    for field in message.field:
        if not _in_oneof(field):
            entry = maps.get(field.type_name.rpartition(".")[2])
            yield _field(field, syntax) if entry is None else _map(field, entry)
    yield from _oneofs(message)
    yield from (f"extend {each.extendee} {{ {_field(each, syntax)} }}" for each in message.extension)
    yield from (f"extensions {_span(each.start, each.end)};" for each in message.extension_range)
    yield from (f"reserved {_span(each.start, each.end)};" for each in message.reserved_range)
    yield from (f'reserved "{name}";' for name in message.reserved_name)
    yield "}"


def _oneofs(message: DescriptorProto) -> Iterator[str]:
    for index, oneof in enumerate(message.oneof_decl):
        members = [field for field in message.field if _in_oneof(field) and field.oneof_index == index]
        if members:
            yield f"oneof {oneof.name} {{"
            yield from map(_declaration, members)
            yield "}"


def _enum(enum: EnumDescriptorProto) -> Iterator[str]:
    yield f"enum {enum.name} {{"
    if enum.options and enum.options.allow_alias:
        yield "option allow_alias = true;"
    for value in enum.value:
        yield f"{value.name} = {value.number};"
    for span in enum.reserved_range:  # its end is included
        yield f"reserved {span.start} to {span.end};"
    for name in enum.reserved_name:
        yield f'reserved "{name}";'
    yield "}"


def _in_oneof(field: FieldDescriptorProto) -> bool:
    """Tells whether a field is in a oneof that somebody wrote; proto3's ``optional`` makes one of its own."""
    return field.has_field("oneof_index") and not field.proto3_optional


def _field(field: FieldDescriptorProto, syntax: str) -> str:
    if field.label is _Label.REPEATED:
        return f"repeated {_declaration(field)}"
    if field.label is _Label.REQUIRED:
        return f"required {_declaration(field)}"
    return f"optional {_declaration(field)}" if syntax == "proto2" or field.proto3_optional else _declaration(field)


def _map(field: FieldDescriptorProto, entry: DescriptorProto) -> str:
    key, value = entry.field
    return f"map<{_type(key)}, {_type(value)}> {field.name} = {field.number};"


def _declaration(field: FieldDescriptorProto) -> str:
    options: list[str] = []
    if field.options and field.options.has_field("packed"):
        options.append(f"packed = {str(field.options.packed).lower()}")
    if field.has_field("default_value"):
        options.append(f"default = {_default(field)}")
    listed = f" [{', '.join(options)}]" if options else ""
    return f"{_type(field)} {field.name} = {field.number}{listed};"


def _default(field: FieldDescriptorProto) -> str:
    if field.type is _Type.BYTES:  # escaped already
        return f'"{field.default_value}"'
    if field.type is _Type.STRING:
        return '"' + "".join(f"\\{byte:03o}" for byte in field.default_value.encode()) + '"'
    return field.default_value


def _type(field: FieldDescriptorProto) -> str:
    if field.type is _Type.GROUP:
        raise ValueError(f"{field.name} is a group, which cannot be written back")
    return field.type_name or field.type.name.lower()


def _span(start: int, end: int) -> str:
    return f"{start} to {'max' if end == _END else end - 1}"
