"""YAML 1.2 with the values of protobuf JSON: for people who write bodies by hand.

The core schema and no more: ``yes`` and ``2025-01-31`` are strings, only ``true`` and ``false`` are booleans. A key
that comes twice, an alias, a tag of its own or a second document is refused, so a text costs what its length says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final, TypeVar

import yaml

from kratos.codec.jsontext import MAX_DEPTH, JsonValue, refusal
from kratos.codec.jsonvalues import JsonOptions, JsonValues
from kratos.codec.jsonwalk import convert, spell
from kratos.codec.messages import Registry, blank
from kratos.errors import BadRequest

__all__ = ["YamlCodec"]

M = TypeVar("M")

_MAX_DIGITS: Final = 3000  # in any base: Python shows no integer of more than 4300 in decimal
_TAG: Final = "tag:yaml.org,2002:"
_PLAIN: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        "null": re.compile(r"~|null|Null|NULL|"),
        "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
        "int": re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
        "float": re.compile(
            r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
        ),
    }
)
"""What a plain scalar may be by its text; anything else is a string."""


class _Reader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml where there is one
    """Composes nodes and leaves their meaning to us."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {
        None: [(_TAG + name, re.compile(rf"(?:{form.pattern})\Z")) for name, form in _PLAIN.items()]
    }


class _Writer(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # libyaml where there is one
    """Quotes what YAML 1.1 or 1.2 might take for anything but a string."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - as its base declares it
        return True


_writer: Any = _Writer  # PyYAML has no types for what follows
for _name, _text in _PLAIN.items():
    _writer.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_text.pattern})$"), list("~nNtTfF+-.0123456789"))


class YamlCodec:
    """Messages as YAML; see the module. Not among the default codecs: pass it to a server or client.

    Args:
        options: How messages look, as in JSON.
        registry: The types that ``google.protobuf.Any`` may hold, and extensions.
        max_bytes: The largest body to read. YAML is slow: some hundred kilobytes take as long as megabytes of JSON.
    """

    __slots__ = ("_max_bytes", "_values")

    name = "yaml"
    content_types = ("application/yaml", "application/x-yaml", "text/yaml")

    def __init__(
        self, options: JsonOptions | None = None, registry: Registry | None = None, *, max_bytes: int = 256 * 1024
    ) -> None:
        self._values = JsonValues(options, registry, name=self.name)
        self._max_bytes = max_bytes

    def encode(self, message: object, /) -> bytes:
        """Writes a message; see ``Codec.encode``."""
        value = self._values.dump(message)
        text: str = yaml.dump(value, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=2**31 - 1)
        return text.encode()

    def decode(self, data: bytes, into: type[M], /) -> M:
        """Reads a message; see ``Codec.decode``."""
        type_ = self._values.readable(into)
        if len(data) > self._max_bytes:
            raise refusal(f"the body is larger than the {self._max_bytes} bytes of YAML that are read here")
        node = _compose(data)
        if node is None:
            return blank(into)()
        nodes = _Nodes()
        value = nodes.value(node, 1)
        if nodes.endless:
            value = convert(value, type_, self._values.registry, spell)
        return self._values.load(value, into)


def _compose(data: bytes) -> yaml.Node | None:
    try:
        reader: Any = _Reader(data.decode("utf-8-sig"))
        try:
            return reader.get_single_node()  # type: ignore[no-any-return]  # PyYAML's stubs are of no help here
        finally:
            reader.dispose()
    except UnicodeDecodeError as error:
        raise refusal(f"the body is not UTF-8: byte {error.start + 1} is wrong") from None
    except RecursionError:
        raise refusal(f"the body is nested deeper than {MAX_DEPTH} levels") from None
    except yaml.MarkedYAMLError as error:
        raise _refusal(str(error.problem or error.context), error.problem_mark or error.context_mark) from None
    except yaml.YAMLError as error:
        raise refusal(f"the body is not YAML: {str(error).splitlines()[0][:100]}") from None


class _Nodes:
    """Turns nodes into values, each of them once.

    Attributes:
        endless: Some are infinities or NaN.
    """

    __slots__ = ("_seen", "endless")

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self.endless = False

    def value(self, node: yaml.Node, depth: int) -> JsonValue:
        """Returns what a node stands for."""
        if id(node) in self._seen:
            raise _refusal("aliases are not read here", node.start_mark)
        self._seen.add(id(node))
        if depth > MAX_DEPTH:
            raise refusal(f"the body is nested deeper than {MAX_DEPTH} levels")
        if isinstance(node, yaml.MappingNode) and node.tag in _COLLECTIONS:
            return dict(self._members(node, depth))
        if isinstance(node, yaml.SequenceNode) and node.tag in _COLLECTIONS:
            return [self.value(element, depth + 1) for element in node.value]
        if isinstance(node, yaml.ScalarNode):
            value = _scalar(node)
            self.endless |= isinstance(value, float) and not math.isfinite(value)
            return value
        raise _refusal(f"the tag {node.tag} is not known here", node.start_mark)

    def _members(self, node: yaml.MappingNode, depth: int) -> Iterator[tuple[str, JsonValue]]:
        keys: set[str] = set()
        for name, content in node.value:
            if not isinstance(name, yaml.ScalarNode) or id(name) in self._seen:
                raise _refusal("a key must be a text", name.start_mark)
            self._seen.add(id(name))
            if name.value in keys:
                raise _refusal(f"the key {name.value[:50]!r} comes twice", name.start_mark)
            keys.add(name.value)
            yield name.value, self.value(content, depth + 1)


_COLLECTIONS = frozenset((f"{_TAG}map", f"{_TAG}seq"))


def _scalar(node: yaml.ScalarNode) -> JsonValue:
    text: str = node.value
    kind = node.tag.removeprefix(_TAG)
    if kind in _PLAIN and not _PLAIN[kind].fullmatch(text):  # somebody says so by a tag
        kind = ""
    match kind:
        case "str":
            return text
        case "null":
            return None
        case "bool":
            return text[0] in "tT"
        case "int":
            return _int(text, node)
        case "float":
            return _float(text, node)
        case _:
            pass
    raise _refusal(f"{text[:50]!r} is no {node.tag}", node.start_mark)


def _int(text: str, node: yaml.ScalarNode) -> int:
    if len(text) > _MAX_DIGITS:
        raise _refusal("a number with too many digits", node.start_mark)
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _float(text: str, node: yaml.ScalarNode) -> float:
    special = text.lower()
    if special.endswith((".nan", ".inf")):
        return float(special.replace(".", ""))
    value = float(text)
    if math.isinf(value):
        raise _refusal(f"{text[:50]} is too large for a number", node.start_mark)
    return value


def _refusal(what: str, mark: Any) -> BadRequest:
    if mark is None:
        return refusal(f"the body is not YAML: {what}")
    line, column = mark.line + 1, mark.column + 1
    place = {"line": str(line), "column": str(column)}
    return refusal(f"the body is not YAML: {what} at line {line}, column {column}", place)
