"""The one place that looks into messages: their fields, by our own words.

Everything else asks here and never reflects on the protobuf runtime, so that the runtime can be replaced. A message
type is its Python class; ``shape`` describes it::

    for field in shape(Order).fields:
        if has(order, field):
            print(field.name, field.kind, get(order, field))

Shapes are computed when first asked for and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, TypeGuard, TypeVar, cast, get_args

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
    DescOneof,
    Enum,
    Extension,
    Message,
    Oneof,
    Registry,
    ScalarType,
)
from protobuf.wkt import Any as AnyMessage
from protobuf.wkt import Duration

__all__ = [
    "EnumShape",
    "Field",
    "Kind",
    "Message",
    "Oneof",
    "Registry",
    "Shape",
    "WellKnown",
    "assign",
    "blank",
    "child",
    "clear",
    "duration",
    "full_name",
    "get",
    "has",
    "is_message",
    "new",
    "option",
    "pack",
    "resolve",
    "sensitive",
    "shape",
]

M = TypeVar("M", bound=Message)
T = TypeVar("T")

Kind: TypeAlias = Literal[
    "bool", "int32", "int64", "uint32", "uint64", "float", "double", "string", "bytes", "enum", "message"
]
"""What a field holds; the encodings of integers (sint32, fixed64, …) are folded into their range."""

WellKnown: TypeAlias = Literal[
    "Any", "Duration", "FieldMask", "ListValue", "Struct", "Timestamp", "Value",
    "BoolValue", "BytesValue", "DoubleValue", "FloatValue", "Int32Value", "Int64Value", "StringValue", "UInt32Value",
    "UInt64Value",
]  # fmt: skip
"""The ``google.protobuf`` messages with a JSON form of their own. (Empty has none: it is an object without fields.)"""

_WELL_KNOWN: Mapping[str, WellKnown] = MappingProxyType(
    {f"google.protobuf.{name}": cast("WellKnown", name) for name in get_args(WellKnown)}
)
_KINDS: Mapping[ScalarType, Kind] = MappingProxyType(
    {
        ScalarType.BOOL: "bool",
        ScalarType.INT32: "int32",
        ScalarType.SINT32: "int32",
        ScalarType.SFIXED32: "int32",
        ScalarType.INT64: "int64",
        ScalarType.SINT64: "int64",
        ScalarType.SFIXED64: "int64",
        ScalarType.UINT32: "uint32",
        ScalarType.FIXED32: "uint32",
        ScalarType.UINT64: "uint64",
        ScalarType.FIXED64: "uint64",
        ScalarType.FLOAT: "float",
        ScalarType.DOUBLE: "double",
        ScalarType.STRING: "string",
        ScalarType.BYTES: "bytes",
    }
)

# A program has as many types as its protos declare; the bound is there for programs that make types as they run.
_SHAPES = 8192


@dataclass(frozen=True, slots=True, eq=False)
class EnumShape:
    """An enum type.

    Attributes:
        name: Its full name.
        type: The Python class of its values.
        names: The names by number in the order of declaration; the first name where several share a number.
        numbers: The numbers by name, with every alias and every name that holds in JSON only.
        open: Numbers without a name are values too.
    """

    name: str
    type: type[Enum]
    names: Mapping[int, str]
    numbers: Mapping[str, int]
    open: bool


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field of a message type.

    Attributes:
        name: Its name in the proto.
        json_name: Its name in JSON, ``lowerCamelCase`` unless the proto says otherwise.
        number: Its number.
        kind: What it holds: the elements of a list, the values of a map.
        repeated: It is a list. (A map is not.)
        key: The kind of the keys if it is a map, else None.
        message: The message type if ``kind`` is ``message``, else None.
        enum: The enum if ``kind`` is ``enum``, else None.
        oneof: The name of the oneof it belongs to; None for none. The one behind proto3's ``optional`` does not count.
        presence: Whether unset and zero differ.
        required: proto2: it must be set.
        deprecated: The proto says that callers should move on.
    """

    name: str
    json_name: str
    number: int
    kind: Kind
    repeated: bool = False
    key: Kind | None = None
    message: type[Message] | None = None
    enum: EnumShape | None = None
    oneof: str | None = None
    presence: bool = False
    required: bool = False
    deprecated: bool = False
    # The runtime's own word for it; only this module may look.
    handle: DescField = attribute(repr=False, kw_only=True)

    @property
    def singular(self) -> bool:
        """It is neither a list nor a map."""
        return not self.repeated and self.key is None

    @property
    def takes_null(self) -> bool:
        """JSON's null is a value of its elements, not "unset": ``google.protobuf.Value`` and ``NullValue``."""
        if self.enum is not None:
            return self.enum.name == "google.protobuf.NullValue"
        return self.message is not None and shape(self.message).well_known == "Value"

    @property
    def within(self) -> WellKnown | None:
        """Which well-known type it is a field of, None for an ordinary one."""
        return _WELL_KNOWN.get(self.handle.parent.type_name)

    @property
    def finite(self) -> bool:
        """JSON has no form for its infinities and NaN: the number of a ``google.protobuf.Value``."""
        return self.kind == "double" and self.within == "Value"


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A message type.

    Attributes:
        name: Its full name, such as ``helloworld.v1.HelloRequest``.
        type: Its Python class.
        fields: Its fields in the order of declaration.
        named: The fields by proto name and by JSON name: the keys that protobuf JSON accepts.
        oneofs: The members of each real oneof.
        well_known: Which well-known type it is, None for an ordinary one.
    """

    name: str
    type: type[Message]
    fields: tuple[Field, ...]
    named: Mapping[str, Field]
    oneofs: Mapping[str, tuple[Field, ...]]
    well_known: WellKnown | None


def shape(type_: type[Message], /) -> Shape:
    """Returns the description of a message type."""
    return _shape(type_.desc())


@lru_cache(_SHAPES)
def _shape(desc: DescMessage) -> Shape:
    fields = tuple(_field(member) for member in desc.fields)
    # A JSON name goes before another field's proto name; buf and protoc refuse most such clashes anyway.
    named = {field.name: field for field in fields} | {field.json_name: field for field in fields}
    oneofs = {
        oneof.name: tuple(field for field in fields if field.oneof == oneof.name)
        for oneof in desc.oneofs
    }  # fmt: skip
    return Shape(
        name=desc.type_name,
        type=desc.type,
        fields=fields,
        named=MappingProxyType(named),
        oneofs=MappingProxyType(oneofs),
        well_known=_WELL_KNOWN.get(desc.type_name),
    )


def duration(seconds: float) -> Duration:
    """Returns a ``google.protobuf.Duration`` of some seconds: 0 or more, or whole ones."""
    nanos = round(seconds * 1e9)
    return Duration(seconds=nanos // 10**9, nanos=nanos % 10**9)


def full_name(type_: type[Message], /) -> str:
    """Returns the full name of a message type, such as ``helloworld.v1.HelloRequest``."""
    return type_.desc().type_name


def new(type_: type[M], /) -> M:
    """Returns an empty message."""
    return type_()


def blank(type_: type[T], /) -> Callable[[], T]:
    """Returns what makes the message that an empty body means: an empty one, and null as ``google.protobuf.Value``.

    A Value has no JSON while it is empty; one that is null can be written in every encoding.
    """
    return partial(_null, type_) if _is_value(type_) else type_


def _is_value(type_: type[Any]) -> bool:
    return issubclass(type_, Message) and _shape(type_.desc()).well_known == "Value"


def _null(type_: type[Any]) -> Any:
    message = type_()
    null = shape(type_).named["null_value"]
    assign(message, null, cast("EnumShape", null.enum).type(0))
    return message


def get(message: Message, field: Field, /) -> Any:
    """Returns the value of a field.

    An unset scalar is its default, an unset message None. A list is a list and a map a dict, both live: what is
    appended to them is in the message.
    """
    return message[field.handle]


def has(message: Message, field: Field, /) -> bool:
    """Tells whether a field is set; without presence, whether it differs from zero."""
    return field.handle in message


def assign(message: Message, field: Field, value: Any, /) -> None:
    """Sets a field. A member of a oneof unsets the others. The value is checked when the message is encoded."""
    message[field.handle] = value


def clear(message: Message, field: Field, /) -> None:
    """Unsets a field."""
    del message[field.handle]


def child(message: Message, field: Field, /) -> Message:
    """Returns the message in a singular message field; sets an empty one if there is none.

    Raises:
        TypeError: The field holds no single message.
    """
    if field.message is None or not field.singular:
        raise TypeError(f"{field.name} does not hold a single message")
    found: Message | None = get(message, field)
    if found is None:
        found = field.message()
        assign(message, field, found)
    return found


def option(field: Field, name: str, /) -> Any:
    """Returns what a field's proto says by an option, None if it does not say so.

    Args:
        field: The field.
        name: The full name of the extension that the option is, such as ``google.api.field_behavior``.
    """
    options = field.handle.proto.options
    if options is None:
        return None
    extension = _extension(field.handle.parent.file, name)
    return options[extension] if extension is not None and extension in options else None


def sensitive(field: Field, /) -> bool:
    """Tells whether nobody but the service may see what a field holds, by ``(kratos.options.v1.sensitive)``."""
    return bool(option(field, "kratos.options.v1.sensitive"))


def is_message(value: object, /) -> TypeGuard[Message]:
    """Tells whether a value is a message."""
    return isinstance(value, Message)


def pack(message: Message, /) -> AnyMessage:
    """Returns a ``google.protobuf.Any`` that holds a message."""
    return AnyMessage.pack(message)


def resolve(registry: Registry | None, url: str, /) -> type[Message] | None:
    """Returns the type that the URL of a ``google.protobuf.Any`` names, None if the registry does not know it."""
    desc = registry.message(url.rpartition("/")[2]) if registry is not None else None
    return None if desc is None else desc.type


@lru_cache(_SHAPES)
def _extension(file: DescFile, name: str) -> Extension[Any, Any] | None:
    """Finds an extension of options: what a file says by it, it imports."""
    for extension in file.extensions:
        if extension.type_name == name:
            found: Extension[Any, Any] = cast("Any", extension).type  # declared without parameters
            return found
    return next(filter(None, (_extension(imported, name) for imported in file.dependencies)), None)


def _field(desc: DescField) -> Field:
    value = desc.value
    element: ScalarType | DescEnum | DescMessage
    key: Kind | None = None
    oneof: DescOneof | None = None
    match value:
        case DescFieldValueScalar():
            element, oneof = value.scalar, value.oneof
        case DescFieldValueEnum():
            element, oneof = value.enum, value.oneof
        case DescFieldValueMessage():
            element, oneof = value.message, value.oneof
        case DescFieldValueList():
            element = value.element
        case DescFieldValueMap():
            element, key = value.value, _KINDS[value.key]
    repeated = isinstance(value, DescFieldValueList)
    return Field(
        name=desc.name,
        json_name=desc.json_name,
        number=desc.number,
        kind=_kind(element),
        repeated=repeated,
        key=key,
        message=element.type if isinstance(element, DescMessage) else None,
        enum=_enum(element) if isinstance(element, DescEnum) else None,
        oneof=None if oneof is None else oneof.name,
        presence=desc.presence.name != "IMPLICIT" and not repeated and key is None,
        required=desc.presence.name == "LEGACY_REQUIRED",
        deprecated=desc.deprecated,
        handle=desc,
    )


def _kind(element: ScalarType | DescEnum | DescMessage) -> Kind:
    if isinstance(element, ScalarType):
        return _KINDS[element]
    return "enum" if isinstance(element, DescEnum) else "message"


@lru_cache(_SHAPES)
def _enum(desc: DescEnum) -> EnumShape:
    names: dict[int, str] = {}
    numbers: dict[str, int] = {}
    for value in desc.values:
        names.setdefault(value.number, value.name)
        numbers[value.name] = value.number
        if value.json_name is not None:
            numbers[value.json_name] = value.number
    return EnumShape(
        name=desc.type_name,
        type=desc.type,
        names=MappingProxyType(names),
        numbers=MappingProxyType(numbers),
        open=desc.open,
    )
