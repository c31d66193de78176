"""The parts of a ``multipart/form-data`` body and how one becomes a value: a file, a text or a piece of JSON.

A file fills a field of bytes, or a message in the form of ``google.api.HttpBody``: ``bytes data`` and ``string
content_type``, and ``string filename`` if it wants the name. Everything else is a text, read as in any form, or what
the field is in JSON, where the part says that it is JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from kratos.codec.base import Codec
from kratos.codec.formtext import Reader, reader_of
from kratos.codec.jsontext import parse
from kratos.codec.messages import Field, Message, assign, new, shape
from kratos.codec.negotiate import media_type, parameter
from kratos.errors import BadRequest

__all__ = ["FileFields", "Part", "file_fields", "holds_file", "reader"]

_SHOWN = 50  # characters of what a client sent, in an error message
_UNICODE: Final = frozenset(("ascii", "us-ascii", "utf-8", "utf8"))
_PRINTABLE: Final = re.compile(r"[\t\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Part:
    """One part. It is false where a form has left it empty: no content, and no file.

    Attributes:
        data: The content.
        content_type: What it says of itself; empty for nothing.
        filename: The name of the file it was, without a path; empty for none.
    """

    data: bytes
    content_type: str = ""
    filename: str = ""

    def __bool__(self) -> bool:
        return bool(self.data or self.filename)

    @property
    def text(self) -> str:
        """The content as text.

        Raises:
            ValueError: It is none that can be read here.
        """
        charset = parameter(self.content_type, "charset") or "utf-8"
        if charset.lower() not in _UNICODE:
            raise ValueError(f"the charset {charset[:_SHOWN]} is not read here, UTF-8 is")
        try:
            return self.data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"is not UTF-8: byte {error.start + 1} is wrong") from None


@dataclass(frozen=True, slots=True)
class FileFields:
    """The fields of a message that takes a file.

    Attributes:
        data: Takes the content.
        content_type: Takes the media type.
        filename: Takes the name; None where the message has no field for it.
    """

    data: Field
    content_type: Field
    filename: Field | None


def file_fields(type_: type[Message]) -> FileFields | None:
    """Returns the fields by which a message takes a file; None if it takes none."""
    named = {field.name: field for field in shape(type_).fields if field.singular}
    data, content_type, filename = (named.get(name) for name in ("data", "content_type", "filename"))
    if data is None or data.kind != "bytes" or content_type is None or content_type.kind != "string":
        return None
    return FileFields(data, content_type, filename if filename is not None and filename.kind == "string" else None)


def holds_file(field: Field) -> bool:
    """Tells whether a part that fills the field, or an element of it, is a file."""
    if field.message is None:
        return field.kind == "bytes"
    return shape(field.message).well_known == "BytesValue" or file_fields(field.message) is not None


def reader(json: Codec, field: Field) -> Callable[[Part], Any]:
    """Returns what makes one value of a field of a part. It raises ``ValueError``, which says what was expected."""
    if not holds_file(field):
        return partial(_value, json, field, reader_of(field))
    if field.message is None:
        return _content
    fields = file_fields(field.message)
    return partial(_wrapped, field.message) if fields is None else partial(_file, field.message, fields)


def _content(part: Part) -> bytes:
    return part.data


def _wrapped(type_: type[Message], part: Part) -> Message:
    message = new(type_)
    assign(message, shape(type_).fields[0], part.data)
    return message


def _file(type_: type[Message], fields: FileFields, part: Part) -> Message:
    if part.content_type and (media_type(part.content_type) is None or not _PRINTABLE.fullmatch(part.content_type)):
        raise ValueError(f"the Content-Type {part.content_type[:_SHOWN]!r} is none")
    message = new(type_)
    assign(message, fields.data, part.data)
    assign(message, fields.content_type, part.content_type)
    if fields.filename is not None:
        assign(message, fields.filename, part.filename)
    return message


def _value(json: Codec, field: Field, read: Reader | None, part: Part) -> Any:
    said = media_type(part.content_type)
    is_json = said is not None and "/".join(said) in json.content_types
    try:
        if is_json and field.message is not None:
            return json.decode(part.data, field.message)
        text = _spelled(part) if is_json else part.text
    except BadRequest as error:
        raise ValueError(error.message) from None
    if read is None:
        raise ValueError(
            f"is a message: send it as {json.content_types[0]}, or its fields as {field.json_name}.name each"
        )
    return read(text)


def _spelled(part: Part) -> str:
    """Returns a scalar in JSON as a form spells it."""
    value = parse(part.data)
    if value is None or isinstance(value, dict | list):
        raise ValueError("expected a single value in JSON")
    return value if isinstance(value, str) else part.text.strip()
