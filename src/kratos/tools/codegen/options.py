"""Proto options as plain data: what a declaration says by extensions, whoever defined them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, cast

from protobuf import (
    DescEnum,
    DescExtension,
    DescFieldValue,
    DescFieldValueEnum,
    DescFieldValueList,
    DescFieldValueMap,
    DescFieldValueMessage,
    DescFile,
    DescMessage,
    Extension,
    Message,
    ScalarType,
    message_to_json_value,
)

__all__ = ["Data", "Options"]

Data: TypeAlias = str | int | float | bool | list[Any] | dict[str, Any]
"""What a JSON document can hold, except that 64-bit numbers stay numbers."""

_Element: TypeAlias = DescMessage | DescEnum | ScalarType


class Options:
    """The extensions that a request knows, by what they extend.

    Args:
        files: All files of the request.
    """

    def __init__(self, files: Iterable[DescFile]) -> None:
        self._known: dict[str, list[DescExtension]] = {}
        for extension in sorted(_extensions(files), key=lambda extension: extension.type_name):
            self._known.setdefault(extension.extendee.type_name, []).append(extension)

    def of(self, options: Message | None) -> Mapping[str, Any]:
        """Returns the extensions set in an options message, by full name and in its order."""
        if options is None:
            return {}
        known = self._known.get(options.desc().type_name, ())
        return {desc.type_name: _value(options[_key(desc)], desc.value) for desc in known if _key(desc) in options}


def _key(extension: DescExtension) -> Extension[Any, Any]:
    key: Extension[Any, Any] = cast("Any", extension).type  # declared without parameters: strict checkers object
    return key


def _extensions(files: Iterable[DescFile]) -> Iterable[DescExtension]:
    for file in files:
        yield from file.extensions
        yield from _nested(file.messages)


def _nested(messages: Iterable[DescMessage]) -> Iterable[DescExtension]:
    for message in messages:
        yield from message.nested_extensions
        yield from _nested(message.nested_messages)


def _value(value: Any, kind: DescFieldValue) -> Data:
    match kind:
        case DescFieldValueList(element=element):
            return [_element(item, element) for item in value]
        case DescFieldValueMap(value=element):
            return {str(key): _element(item, element) for key, item in value.items()}
        case DescFieldValueMessage(message=element) | DescFieldValueEnum(enum=element):
            return _element(value, element)
        case _:
            return _element(value, ScalarType.STRING)


def _element(value: Any, kind: _Element) -> Data:
    match kind:
        case DescMessage():
            return _message(value)
        case DescEnum():
            names = {known.number: known.name for known in kind.values}
            return names.get(int(value), int(value))
        case _:
            return b64encode(value).decode("ascii") if isinstance(value, bytes) else cast("Data", value)


def _message(message: Message) -> Data:
    desc = message.desc()
    if desc.file.name.startswith("google/protobuf/"):  # "3s" says more than seconds and nanos
        return cast("Data", message_to_json_value(message))
    return {field.name: _value(message[field], field.value) for field in message}
