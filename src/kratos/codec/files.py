"""The ``.proto`` files behind services, as the compiler has read them: found by name, by what they declare or extend.

What a generated service declares stands in the file of its contract, which need not be the file of its messages: the
module with that file's descriptor lies beside the service's, ``shop_pb`` beside ``shop_kratos``. A service without one
(operations written by hand) gets a file made up from its operations. Classes of google's runtime are let in by shape.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from typing import Any

from protobuf import DescFile, DescMessage
from protobuf.wkt.google.protobuf.descriptor_pb import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    MethodDescriptorProto,
    MethodOptions,
    ServiceDescriptorProto,
)

from kratos.codec.messages import Message
from kratos.operation import AnyOperation
from kratos.service import Service

__all__ = ["Files"]


class Files:
    """The files of some services and all that these import.

    Files come as ``google.protobuf.FileDescriptorProto`` in binary, with their options: the one that was asked for
    first, then what it imports, directly or not.

    Args:
        services: Whose contracts to look into.
        types: Further message types, whose files and imports are there too.
    """

    def __init__(self, services: Iterable[type[Service]], types: Iterable[type[Any]] = ()) -> None:
        self._files: dict[str, FileDescriptorProto] = {}
        self._symbols: dict[str, str] = {}
        self._extensions: dict[str, dict[int, str]] = {}
        operations: dict[str, dict[str, AnyOperation]] = {}
        for service in services:
            self._add(_beside(service))
            for _, operation in service.__operations__:
                operations.setdefault(operation.service, {})[operation.name] = operation
        for declared in operations.values():
            for operation in declared.values():
                self._add(_behind(operation.request))
                self._add(_behind(operation.reply))
        for type_ in types:
            self._add(_behind(type_))
        for name, declared in operations.items():
            if name not in self._symbols:
                self._enter(self._made_up(name, declared.values()))

    def named(self, name: str, /) -> tuple[bytes, ...]:
        """Returns the file of that name and what it imports, nothing if there is none."""
        # No set of names: the order of imports is the order of the answer.
        found = dict.fromkeys([name] if name in self._files else ())
        waiting = list(found)
        while waiting:
            new = [imported for imported in self._files[waiting.pop(0)].dependency if imported in self._files]
            waiting += [imported for imported in dict.fromkeys(new) if imported not in found]
            found |= dict.fromkeys(new)
        return tuple(self._files[each].to_binary() for each in found)

    def declaring(self, symbol: str, /) -> tuple[bytes, ...]:
        """Returns the file that declares something of that full name and what it imports, nothing if none does.

        A symbol is a service, a method, a message, a field, a oneof, an enum, a value of an enum (which has its enum's
        scope) or an extension.
        """
        return self.named(self._symbols.get(symbol, ""))

    def extending(self, message: str, number: int, /) -> tuple[bytes, ...]:
        """Returns the file with the extension of a message by that number and what it imports, nothing if none has."""
        return self.named(self._extensions.get(message, {}).get(number, ""))

    def extensions(self, message: str, /) -> tuple[int, ...] | None:
        """Returns the numbers of all extensions of a message, None if there is no such message."""
        known = message in self._symbols or message in self._extensions
        return tuple(sorted(self._extensions.get(message, ()))) if known else None

    def _add(self, file: Any) -> None:
        """Enters a descriptor and its imports; of several files of one name the first one counts."""
        if file is None or file.name in self._files:
            return
        self._enter(file.proto if isinstance(file, DescFile) else FileDescriptorProto.from_binary(file.serialized_pb))
        for imported in file.dependencies:
            self._add(imported)

    def _enter(self, file: FileDescriptorProto) -> None:
        self._files[file.name] = file
        for symbol in _symbols(file):
            self._symbols.setdefault(symbol, file.name)
        for extension in _extensions(file):
            self._extensions.setdefault(extension.extendee.lstrip("."), {}).setdefault(extension.number, file.name)

    def _made_up(self, service: str, operations: Iterable[AnyOperation]) -> FileDescriptorProto:
        """Makes the file of a service from its operations, those left out whose messages nobody describes."""
        package, _, name = service.rpartition(".")
        methods: list[MethodDescriptorProto] = []
        imports: dict[str, None] = {}
        for operation in operations:
            types = [_full_name(operation.request), _full_name(operation.reply)]
            if all(type_ in self._symbols for type_ in types):
                imports |= dict.fromkeys(self._symbols[type_] for type_ in types)
                methods.append(_method(operation, *types))
        return FileDescriptorProto(
            name=f"{service}.proto",
            package=package,
            dependency=list(imports),
            service=[ServiceDescriptorProto(name=name, method=methods)],
            syntax="proto3",
        )


def _beside(service: type[Service]) -> DescFile | None:
    """Returns the file that a service was generated from, None if it was not."""
    generated = next((cls for cls in service.__mro__ if "__operations__" in vars(cls)), service).__module__
    if not generated.endswith("_kratos"):
        return None
    try:
        module = importlib.import_module(f"{generated.removesuffix('_kratos')}_pb")
    except ImportError:
        return None
    found = module.desc() if hasattr(module, "desc") else None
    return found if isinstance(found, DescFile) else None


def _behind(type_: type[Any]) -> Any:
    """Returns the descriptor of the file that declares a message type, None if it has none."""
    return getattr(_descriptor(type_), "file", None)


def _full_name(type_: type[Any]) -> str:
    descriptor = _descriptor(type_)
    return str(getattr(descriptor, "type_name" if isinstance(descriptor, DescMessage) else "full_name", ""))


def _descriptor(type_: type[Any]) -> Any:
    return type_.desc() if issubclass(type_, Message) else getattr(type_, "DESCRIPTOR", None)


def _method(operation: AnyOperation, request: str, reply: str) -> MethodDescriptorProto:
    options = MethodOptions()
    if operation.deprecated:
        options.deprecated = True
    if operation.idempotent:
        options.idempotency_level = MethodOptions.IdempotencyLevel.IDEMPOTENT
    return MethodDescriptorProto(
        name=operation.method,
        input_type=f".{request}",
        output_type=f".{reply}",
        client_streaming=operation.client_streams,
        server_streaming=operation.server_streams,
        options=options if operation.deprecated or operation.idempotent else None,
    )


def _symbols(file: FileDescriptorProto) -> Iterator[str]:
    scope = f"{file.package}." if file.package else ""
    for service in file.service:
        yield scope + service.name
        yield from (f"{scope}{service.name}.{method.name}" for method in service.method)
    for message in file.message_type:
        yield from _declared(message, scope)
    yield from _values(file.enum_type, scope)
    yield from (scope + extension.name for extension in file.extension)


def _declared(message: DescriptorProto, scope: str) -> Iterator[str]:
    yield scope + message.name
    scope = f"{scope}{message.name}."
    for group in (message.field, message.oneof_decl, message.extension):
        yield from (scope + each.name for each in group)
    yield from _values(message.enum_type, scope)
    for nested in message.nested_type:
        yield from _declared(nested, scope)


def _values(enums: Iterable[EnumDescriptorProto], scope: str) -> Iterator[str]:
    for enum in enums:
        yield scope + enum.name
        yield from (scope + value.name for value in enum.value)


def _extensions(declaring: FileDescriptorProto | DescriptorProto) -> Iterator[FieldDescriptorProto]:
    yield from declaring.extension
    nested = declaring.message_type if isinstance(declaring, FileDescriptorProto) else declaring.nested_type
    for message in nested:
        yield from _extensions(message)
