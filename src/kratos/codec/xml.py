r"""XML with the values of protobuf JSON; what is written is read back without loss.

The element of a message has one element for each member, under its JSON name; the root is called after the message, and
whatever it is called when reading. ::

    <Order>
      <id>7</id>                          a scalar, an enum, a time: its text in JSON
      <tags>a</tags><tags>b</tags>        a list: one element after another
      <labels key="a">1</labels>          a map: likewise, each with its key
      <price><units>3</units></price>     a message
      <facts json="true">{"a":1}</facts>  Struct, Value and ListValue, which have no fields: JSON
      <any type="example.com/a.v1.B"/>    an Any: the members of what is in it, or its text
    </Order>

A text with characters that XML has not is a string of JSON: ``<id json="true">"\u0001"</id>``; a key likewise, under
``json-key``. There is no DTD, and so are no entities; namespaces do not count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, TypeVar
from xml.parsers import expat

from kratos.codec.jsontext import MAX_DEPTH, JsonValue, parse, refusal
from kratos.codec.jsonvalues import JsonOptions, JsonValues
from kratos.codec.jsonwalk import ANY_TYPE, is_object, payload
from kratos.codec.messages import Field, Kind, Message, Registry, blank, resolve, shape
from kratos.errors import BadRequest

__all__ = ["XmlCodec"]

M = TypeVar("M")

MAX_ELEMENTS: Final = 100_000
"""The most elements to read: an empty one takes four bytes of a body and hundreds in memory."""

_FREE: Final = frozenset({"Struct", "Value", "ListValue"})
_STRANGE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_ATTRIBUTE: Final = _TEXT | str.maketrans({'"': "&quot;", "\t": "&#9;", "\n": "&#10;"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


class XmlCodec:
    """Messages as XML; see the module. Not among the default codecs: pass it to a server or client.

    Args:
        options: How messages look, as in JSON.
        registry: The types that ``google.protobuf.Any`` may hold, and extensions.
    """

    __slots__ = ("_values",)

    name = "xml"
    content_types = ("application/xml", "text/xml")

    def __init__(self, options: JsonOptions | None = None, registry: Registry | None = None) -> None:
        self._values = JsonValues(options, registry, name=self.name)

    def encode(self, message: object, /) -> bytes:
        """Writes a message; see ``Codec.encode``."""
        value = self._values.dump(message)
        type_ = self._values.readable(type(message))
        root = shape(type_).name.rpartition(".")[2]
        parts = _message(root, "", value, type_, self._values.registry)
        return "".join(('<?xml version="1.0" encoding="UTF-8"?>\n', *parts, "\n")).encode()

    def decode(self, data: bytes, into: type[M], /) -> M:
        """Reads a message; see ``Codec.decode``."""
        type_ = self._values.readable(into)
        if not data:
            return blank(into)()
        return self._values.load(_Tree(data).root.message(type_, self._values.registry), into)


def _message(name: str, attributes: str, value: Any, type_: type[Message], registry: Registry | None) -> Iterator[str]:
    known = shape(type_)
    inside = payload(value, registry) if known.well_known == "Any" and is_object(value) else None
    if inside is not None:
        url = f' type="{str(value[ANY_TYPE]).translate(_ATTRIBUTE)}"'
        yield from _message(name, attributes + url, inside[1], inside[0], registry)
    elif known.well_known in _FREE:
        yield _json(name, attributes, value)
    elif is_object(value):
        yield f"<{name}{attributes}>"
        for key, content in value.items():
            yield from _member(key, content, known.named.get(key), registry)
        yield f"</{name}>"
    else:
        yield _scalar(name, attributes, value)


def _member(key: str, value: Any, field: Field | None, registry: Registry | None) -> Iterator[str]:
    name = key if _NAME.fullmatch(key) else "member"
    attributes = "" if name == key else f' name="{key.translate(_ATTRIBUTE)}"'
    if field is None:  # an extension
        yield _json(name, attributes, value)
    elif field.key is not None:
        for each, content in value.items():
            yield from _element(name, attributes + _key(each), content, field, registry)
    else:
        for content in value if field.repeated else (value,):
            yield from _element(name, attributes, content, field, registry)


def _element(name: str, attributes: str, value: Any, field: Field, registry: Registry | None) -> Iterator[str]:
    if field.message is None:
        yield _scalar(name, attributes, value)
    else:
        yield from _message(name, attributes, value, field.message, registry)


def _key(key: str) -> str:
    if _STRANGE.search(key):
        return f' json-key="{json.dumps(key).translate(_ATTRIBUTE)}"'
    return f' key="{key.translate(_ATTRIBUTE)}"'


def _scalar(name: str, attributes: str, value: Any) -> str:
    if value is None or (isinstance(value, str) and _STRANGE.search(value)):
        return _json(name, attributes, value)
    text = value if isinstance(value, str) else json.dumps(value)
    return f"<{name}{attributes}>{text.translate(_TEXT)}</{name}>"


def _json(name: str, attributes: str, value: Any) -> str:
    return f'<{name}{attributes} json="true">{json.dumps(value).translate(_TEXT)}</{name}>'


class _Node:
    """One element."""

    __slots__ = ("attributes", "children", "line", "name", "parts")

    def __init__(self, name: str, attributes: dict[str, str], line: int) -> None:
        self.name = name
        self.attributes = attributes
        self.line = line
        self.parts: list[str] = []
        self.children: list[_Node] = []

    @property
    def text(self) -> str:
        """The text between its elements."""
        return "".join(self.parts)

    def message(self, type_: type[Message], registry: Registry | None) -> JsonValue:
        """Returns the values of a message of that type."""
        known = shape(type_)
        if "json" in self.attributes:
            return self._parsed()
        if known.well_known == "Any":
            return self._any(registry)
        if known.well_known in _FREE:
            raise self._refusal(f'a {known.well_known} is JSON, under json="true"')
        if known.well_known is not None:
            return self._scalar(known.fields[0].kind if known.well_known.endswith("Value") else "message")
        if self.text.strip():
            raise self._refusal(f"{self.name} holds elements and no text")
        members: dict[str, JsonValue] = {}
        for child in self.children:
            child._join(members, known.named.get(child.name), registry)
        return members

    def _join(self, members: dict[str, Any], field: Field | None, registry: Registry | None) -> None:
        """Adds this element to the members of its message."""
        if field is None:
            name = self.attributes.get("name", self.name)
            members[name] = self._parsed() if "json" in self.attributes else None
        elif field.key is not None:
            members.setdefault(self.name, {})[self._key()] = self._element(field, registry)
        elif field.repeated:
            members.setdefault(self.name, []).append(self._element(field, registry))
        else:
            members[self.name] = self._element(field, registry)

    def _element(self, field: Field, registry: Registry | None) -> JsonValue:
        if field.message is not None:
            return self.message(field.message, registry)
        return self._parsed() if "json" in self.attributes else self._scalar(field.kind)

    def _any(self, registry: Registry | None) -> JsonValue:
        url = self.attributes.get("type")
        if url is None:
            return {}
        type_ = resolve(registry, url)
        content = None if type_ is None else self.message(type_, registry)
        if type_ is not None and shape(type_).well_known is not None:
            return {ANY_TYPE: url, "value": content}
        return {ANY_TYPE: url, **(content if is_object(content) else {})}

    def _key(self) -> str:
        written = self.attributes.get("json-key")
        key = self.attributes.get("key") if written is None else parse(written.encode())
        if not isinstance(key, str):
            raise self._refusal(f"{self.name} is an entry of a map and needs a key")
        return key

    def _scalar(self, kind: Kind) -> JsonValue:
        if self.children:
            raise self._refusal(f"{self.name} holds a text and no elements")
        text = self.text if kind == "string" else self.text.strip()
        if kind == "bool":
            return {"true": True, "1": True, "false": False, "0": False}.get(text, text)
        if kind == "enum" and text.lstrip("-").isdecimal() and len(text) < 12:
            return int(text)
        return text

    def _parsed(self) -> JsonValue:
        return parse(self.text.encode())

    def _refusal(self, what: str) -> BadRequest:
        return refusal(f"the body: {what}, at line {self.line}", {"line": str(self.line)})


class _Tree:
    """The elements of a text."""

    def __init__(self, data: bytes) -> None:
        self.root = _Node("", {}, 0)
        self._open: list[_Node] = []
        self._count = 0
        self._parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            parser.Parse(data, True)  # this is all there is
        except expat.ExpatError as error:
            line, column = str(error.lineno), str(error.offset + 1)
            what = expat.ErrorString(error.code)
            raise refusal(
                f"the body is not XML: {what} at line {line}, column {column}", {"line": line, "column": column}
            ) from None
        except (ValueError, LookupError) as error:  # an encoding that nobody knows
            raise refusal(f"the body is not XML: {str(error)[:100]}") from None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) >= MAX_DEPTH:
            raise refusal(f"the body is nested deeper than {MAX_DEPTH} levels")
        if self._count > MAX_ELEMENTS:
            raise refusal(f"the body has more than {MAX_ELEMENTS} elements")
        node = _Node(name.rpartition(" ")[2], attributes, self._parser.CurrentLineNumber)
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node
        self._open.append(node)

    def _end(self, _: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        self._open[-1].parts.append(text)

    def _doctype(self, *_: object) -> None:
        raise refusal("the body has a DTD, which is not read here")
