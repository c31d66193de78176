"""What a contract says, as plain data: for whoever judges it, and must not know how protobuf describes itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from protobuf import (
    DescEnum,
    DescField,
    DescFieldValueEnum,
    DescFieldValueList,
    DescFieldValueMap,
    DescFieldValueMessage,
    DescFieldValueScalar,
    DescFile,
    DescMessage,
    DescMethod,
    ScalarType,
)
from protobuf.wkt import FileDescriptorSet

from kratos.tools.codegen.coded import Span, coded_enums
from kratos.tools.codegen.http import Rule, rules
from kratos.tools.codegen.options import Options
from kratos.tools.codegen.sources import Place, Sources

__all__ = ["FieldFacts", "MessageFacts", "MethodFacts", "Reason", "Survey", "survey"]


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """A field of a message.

    Attributes:
        name: Its name in the proto.
        json_name: Its name in JSON.
        kind: A scalar type such as ``int32``, ``enum`` or ``message``.
        type_name: The full name of the enum or message, for lists and maps that of their values.
        repeated: It is a list or a map.
        mapped: It is a map.
        values: The names of the enum's values.
        sensitive: The contract says that nobody may see it.
        place: Where it is declared.
    """

    name: str
    json_name: str
    kind: str
    type_name: str
    repeated: bool
    mapped: bool
    values: tuple[str, ...]
    sensitive: bool
    place: Place


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """A message.

    Attributes:
        name: Its full name.
        place: Where it is declared.
        options: Its options by full name.
        fields: Its fields, by their names in the proto.
        own: It is the project's, not one of those that it imports.
    """

    name: str
    place: Place
    options: Mapping[str, Any]
    fields: Mapping[str, FieldFacts] = field(default_factory=dict[str, FieldFacts])
    own: bool = True


@dataclass(frozen=True, slots=True)
class MethodFacts:
    """An RPC.

    Attributes:
        service: The full name of its service.
        name: Its name.
        package: The package of its file.
        place: Where it is declared.
        kind: ``unary``, ``server_streaming``, ``client_streaming`` or ``bidi_streaming``.
        request: The full name of the request.
        reply: The full name of the reply.
        rules: Its HTTP bindings.
    """

    service: str
    name: str
    package: str
    place: Place
    kind: str
    request: str
    reply: str
    rules: tuple[Rule, ...]

    @property
    def full_name(self) -> str:
        """Service and method, ``helloworld.v1.Greeter.SayHello``."""
        return f"{self.service}.{self.name}"


@dataclass(frozen=True, slots=True)
class Reason:
    """A value of an enum that has codes.

    Attributes:
        enum: The full name of the enum.
        name: The value, which is the reason on the wire.
        number: Its number.
        package: The package of its file.
        place: Where it is declared.
        code: Its HTTP status; 0 if it has none.
    """

    enum: str
    name: str
    number: int
    package: str
    place: Place
    code: int


@dataclass(frozen=True, slots=True)
class Survey:
    """What the protos of a project declare; messages include those that they import.

    Attributes:
        methods: The RPCs, in the order of files.
        messages: The messages by full name.
        reasons: The error reasons.
        coded: Where the enums with codes stand.
    """

    methods: tuple[MethodFacts, ...] = ()
    messages: Mapping[str, MessageFacts] = field(default_factory=dict[str, MessageFacts])
    reasons: tuple[Reason, ...] = ()
    coded: tuple[Span, ...] = ()

    def field_at(self, message: str, path: Iterable[str]) -> FieldFacts | None:
        """Returns the field that a dotted path leads to; None if it leads to none, or through a list."""
        found: FieldFacts | None = None
        for name in path:
            known = self.messages.get(message if found is None else found.type_name)
            if known is None or (found is not None and found.repeated):
                return None
            found = known.fields.get(name)
            if found is None:
                return None
        return found


def survey(descriptors: bytes, own: Iterable[str]) -> Survey:
    """Reads a contract.

    Args:
        descriptors: An encoded ``FileDescriptorSet`` with source information.
        own: The import paths of the project's own files.
    """
    known = FileDescriptorSet.from_binary(descriptors)
    registry = known.to_registry()
    files = [found for each in known.file if (found := registry.file(each.name)) is not None]
    mine = {*own}
    reader = _Reader(Options(files), Sources())
    messages = {each.type_name: reader.message(each, file.name in mine) for file in files for each in _messages(file)}
    judged = [file for file in files if file.name in mine]
    return Survey(
        tuple(reader.method(rpc) for file in judged for service in file.services for rpc in service.methods),
        messages,
        tuple(reason for file in judged for enum in _enums(file) for reason in reader.reasons(enum)),
        tuple(coded_enums(descriptors)),
    )


def _messages(scope: DescFile | DescMessage) -> Iterator[DescMessage]:
    for message in scope.messages if isinstance(scope, DescFile) else scope.nested_messages:
        yield message
        yield from _messages(message)


def _enums(scope: DescFile | DescMessage) -> Iterator[DescEnum]:
    yield from scope.enums if isinstance(scope, DescFile) else scope.nested_enums
    for message in scope.messages if isinstance(scope, DescFile) else scope.nested_messages:
        yield from _enums(message)


class _Reader:
    """Turns descriptors into facts."""

    def __init__(self, options: Options, sources: Sources) -> None:
        self._options = options
        self._sources = sources

    def message(self, desc: DescMessage, own: bool) -> MessageFacts:
        fields = {each.name: self._field(each, own) for each in desc.fields}
        place = self._sources.place(desc) if own else Place(desc.file.name)
        return MessageFacts(desc.type_name, place, self._options.of(desc.proto.options), fields, own)

    def _field(self, desc: DescField, own: bool) -> FieldFacts:
        value: object = desc.value
        mapped, repeated = isinstance(value, DescFieldValueMap), isinstance(value, DescFieldValueList)
        element: object = value.value if isinstance(value, DescFieldValueMap) else value
        element = element.element if isinstance(element, DescFieldValueList) else element
        kind, type_name, values = _kind(element)
        sensitive = self._options.of(desc.proto.options).get("kratos.options.v1.sensitive") is True
        place = self._sources.place(desc) if own else Place(desc.parent.file.name)
        return FieldFacts(
            desc.name, desc.json_name, kind, type_name, mapped or repeated, mapped, values, sensitive, place
        )

    def method(self, rpc: DescMethod) -> MethodFacts:
        service = rpc.parent.type_name
        option = self._options.of(rpc.proto.options).get("google.api.http")
        return MethodFacts(
            service,
            rpc.name,
            rpc.parent.file.proto.package,
            self._sources.place(rpc),
            rpc.method_kind,
            rpc.input.type_name,
            rpc.output.type_name,
            tuple(rules(option, f"/{service}/{rpc.name}")),
        )

    def reasons(self, enum: DescEnum) -> Iterator[Reason]:
        default = self._options.of(enum.proto.options).get("errors.default_code", 0)
        codes = [self._options.of(value.proto.options).get("errors.code", 0) or default for value in enum.values]
        if not any(codes):
            return
        for value, code in zip(enum.values, codes, strict=True):
            package = enum.file.proto.package
            yield Reason(enum.type_name, value.name, value.number, package, self._sources.place(value), code)


def _kind(element: object) -> tuple[str, str, tuple[str, ...]]:
    match element:
        case DescFieldValueMessage(message=message) | (DescMessage() as message):
            return "message", message.type_name, ()
        case DescFieldValueEnum(enum=enum) | (DescEnum() as enum):
            return "enum", enum.type_name, tuple(value.name for value in enum.values)
        case DescFieldValueScalar(scalar=scalar) | (ScalarType() as scalar):
            return scalar.name.lower(), "", ()
        case _:
            return "", "", ()
