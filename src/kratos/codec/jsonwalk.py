"""Walks parsed JSON along a message type: drops unknown keys, and finds oneofs that are set twice.

The native decoder has one switch for unknown keys and unknown enum names together, lets the last member of a oneof win
silently, and some numbers pass that no message can hold or no JSON can say; so none of that can be left to it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

from kratos.codec.jsontext import JsonValue
from kratos.codec.messages import Field, Kind, Message, Registry, Shape, resolve, shape

__all__ = [
    "ANY_TYPE",
    "MASK_PATH",
    "Doubts",
    "Members",
    "Problem",
    "convert",
    "doubts_about",
    "elements",
    "extends",
    "is_list",
    "is_object",
    "join",
    "may_clash",
    "may_exceed",
    "payload",
    "prune",
    "spell",
]

ANY_TYPE = "@type"
"""The key in a ``google.protobuf.Any`` that names its type."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one place.

    Attributes:
        path: The place, such as ``items[3].color`` or ``labels["a"]``; empty for the whole body.
        what: What was expected and what was found.
    """

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path or 'the body'}: {self.what}"


def join(path: str, key: str) -> str:
    """Returns the path of a key below ``path``."""
    return f"{path}.{key}" if path else key


def elements(field: Field, value: JsonValue, path: str) -> Iterator[tuple[JsonValue, str]]:
    """Yields the elements of a field's value with their paths; nothing where the value has the wrong form."""
    if field.key is not None:
        if isinstance(value, dict):
            for key, element in value.items():
                yield element, f"{path}[{json.dumps(key[:50], ensure_ascii=False)}]"
    elif field.repeated:
        if isinstance(value, list):
            for index, element in enumerate(value):
                yield element, f"{path}[{index}]"
    else:
        yield value, path


def payload(value: dict[str, JsonValue], registry: Registry | None) -> tuple[type[Message], JsonValue] | None:
    """Returns type and content of a ``google.protobuf.Any``; None if the type is not given or not known."""
    url = value.get(ANY_TYPE)
    type_ = resolve(registry, url) if isinstance(url, str) else None
    if type_ is None:
        return None
    if shape(type_).well_known is not None:
        return type_, value.get("value")
    return type_, {key: content for key, content in value.items() if key != ANY_TYPE}


def extends(key: str, into: Shape, registry: Registry | None) -> bool:
    """Tells whether a key such as ``[pkg.name]`` is an extension of the type that the registry knows."""
    found = registry.extension(key[1:-1]) if registry is not None and key[:1] == "[" and key[-1:] == "]" else None
    return found is not None and found.extendee.type_name == into.name


def prune(
    value: JsonValue, type_: type[Message], registry: Registry | None, *, drop: bool, path: str = ""
) -> Iterator[Problem]:
    """Drops unknown keys, makes integers of enum numbers, in place, and reports oneofs that are set twice.

    Args:
        value: The parsed JSON of one message.
        type_: Its type.
        registry: Knows extensions and the types in ``google.protobuf.Any``.
        drop: Whether unknown keys are dropped, or left for the decoder to refuse.
        path: Where the message is.

    Yields:
        The oneofs that are set twice.
    """
    if not isinstance(value, dict):
        return
    known = shape(type_)
    if known.well_known == "Any":
        yield from _prune_any(value, registry, drop=drop, path=path)
    if known.well_known is not None:
        return
    for key in list(value):
        field = known.named.get(key)
        if field is None:
            if drop and not extends(key, known, registry):
                del value[key]
        elif field.enum is not None:
            value[key] = _integers(value[key])
        elif field.message is not None:
            for element, place in elements(field, value[key], join(path, key)):
                yield from prune(element, field.message, registry, drop=drop, path=place)
    yield from _clashes(value, known, path)


def _integers(value: JsonValue) -> JsonValue:
    """Returns enum numbers as the decoder wants them; JSON knows no difference, and other fields take them."""
    if isinstance(value, list):
        return [_integers(element) for element in value]
    if isinstance(value, dict):
        return {key: _integers(element) for key, element in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _prune_any(value: dict[str, JsonValue], registry: Registry | None, *, drop: bool, path: str) -> Iterator[Problem]:
    inside = payload(value, registry)
    if inside is None:
        return
    type_, content = inside
    yield from prune(content, type_, registry, drop=drop, path=path)
    if isinstance(content, dict) and shape(type_).well_known is None:
        for key in value.keys() - content.keys() - {ANY_TYPE}:
            del value[key]


def _clashes(value: dict[str, JsonValue], known: Shape, path: str) -> Iterator[Problem]:
    """Reports oneofs with two members; two spellings of one member are none, the last one counts as everywhere."""
    chosen: dict[str, tuple[Field, str]] = {}
    for key, content in value.items():
        field = known.named.get(key)
        if field is None or field.oneof is None or (content is None and not field.takes_null):
            continue
        other, spelled = chosen.setdefault(field.oneof, (field, key))
        if other is not field:
            yield Problem(join(path, key), f"only one of {spelled} and {key} may be set")


Members: TypeAlias = tuple[tuple[bytes, ...], ...]
"""The members of one oneof: for each the keys that name it, as they stand in JSON."""


@dataclass(frozen=True, slots=True)
class Doubts:
    """What the native decoder lets pass in messages of one type.

    Attributes:
        oneofs: The real oneofs that its messages may hold, at any depth: the last member that comes would win.
        integer_keys: They may hold maps with integer keys: keys may be out of range.
        enums: They may hold enums that are open: numbers may be out of range.
        values: They may hold a ``google.protobuf.Value``: a number may be infinite.
        masks: Finds field masks that may name no fields; None if they hold none.
    """

    oneofs: tuple[Members, ...] = ()
    integer_keys: bool = False
    enums: bool = False
    values: bool = False
    masks: re.Pattern[bytes] | None = None

    @property
    def contents(self) -> bool:
        """Whether what single fields hold is in doubt: numbers out of range, masks of no fields."""
        return self.integer_keys or self.enums or self.values or self.masks is not None


def may_clash(data: bytes, oneofs: Sequence[Members]) -> bool:
    """Tells whether it is worth while to look for oneofs that are set twice; False is certain.

    Two searches for each member cost a fraction of parsing the text a second time.
    """
    if not oneofs:
        return False
    if b"\\u" in data:  # Letters of a key may be written as escapes.
        return True
    for members in oneofs:
        found = 0
        for names in members:  # Plain loops: generators would cost more than the searches.
            for name in names:
                if name in data:
                    found += 1
                    break
        if found > 1:
            return True
    return False


# Every digit is a zero and everything that a number may follow a colon, so that two searches tell; a plus is left out.
_NUMBERS = bytes.maketrans(b"123456789E,[- \t\r\n", b"000000000e:::::::")
_LONG = b":" + b"0" * 10  # the least number beyond int32 has as many digits
_HUGE = b"0e000"  # with an exponent of two digits
_LENGTHY = b"0" * 200  # and fewer than these no number is beyond double


def may_exceed(data: bytes, doubts: Doubts) -> bool:
    """Tells whether it is worth while to look for what single fields may not hold; False is certain.

    It costs a fraction of what decoding the text does.
    """
    if doubts.integer_keys:
        return True
    if doubts.masks is not None and (doubts.masks.search(data) is not None or b"\\u" in data):
        return True
    if not doubts.enums and not doubts.values:
        return False
    text = data.translate(_NUMBERS, b"+")
    return (doubts.enums and _LONG in text) or (doubts.values and (_HUGE in text or _LENGTHY in text))


def doubts_about(type_: type[Message], registry: Registry | None) -> Doubts | None:
    """Returns what has to be checked in messages of a type after decoding; None for nothing, as for most."""
    oneofs: list[Members] = []
    masks: list[bytes] = []
    integer_keys = enums = values = False
    seen: set[type[Message]] = set()
    queue = [type_]
    while queue:
        known = shape(queue.pop())
        if known.type in seen:
            continue
        seen.add(known.type)
        if known.well_known == "Any" and registry is not None:
            oneofs.append(_ANYTHING)
            values = True
        values |= known.well_known in _FREE
        if known.well_known is None:
            oneofs.extend(tuple(_spellings(field) for field in members) for members in known.oneofs.values())
            integer_keys |= any(field.key not in (None, "string", "bool") for field in known.fields)
            enums |= any(field.enum is not None and field.enum.open for field in known.fields)
            masks += [name for field in known.fields if _is_mask(field.message) for name in _spellings(field)]
            queue.extend(field.message for field in known.fields if field.message is not None)
    if _is_mask(type_):
        masks.append(b"^")
    found = Doubts(tuple(oneofs), integer_keys, enums, values, _odd_masks(masks) if masks else None)
    return found if oneofs or found.contents else None


_NAME = "[A-Za-z_][A-Za-z0-9_]*"
MASK_PATH = re.compile(rf"\*|{_NAME}(?:\.{_NAME})*")
"""What may be a path in a field mask: names of fields. JSON has no word for a few of them, such as ``line_1``."""

_PART = rb"[A-Za-z][A-Za-z0-9]*"


def _is_mask(type_: type[Message] | None) -> bool:
    return type_ is not None and shape(type_).well_known == "FieldMask"


def _odd_masks(keys: Sequence[bytes]) -> re.Pattern[bytes]:
    """Finds members of these names that are anything but a plain mask; ``^`` is the text itself."""
    behind = b"|".join(key if key == b"^" else re.escape(key) + rb"\s*:" for key in dict.fromkeys(keys))
    return re.compile(rb"(?:" + behind + rb')\s*(?!\s|null|"(?:%b(?:[.,]%b)*)?")' % (_PART, _PART))


_FREE = frozenset(("ListValue", "Struct", "Value"))


# What is in an Any is not known beforehand, so its presence is enough: a "oneof" of which two members always come.
_ANYTHING: Members = ((b'"@type"',), (b'"@type"',))


def _spellings(field: Field) -> tuple[bytes, ...]:
    return tuple(json.dumps(name, ensure_ascii=False).encode() for name in dict.fromkeys((field.json_name, field.name)))


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Tells whether a value is an object of JSON."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Tells whether a value is a list of JSON."""
    return isinstance(value, list)


def spell(kind: Kind, value: Any) -> Any:
    """Returns the text that JSON has for an infinity or NaN in a field that holds one, anything else as it is."""
    if kind in ("float", "double") and isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def convert(value: Any, type_: type[Message], registry: Registry | None, leaf: Callable[[Kind, Any], Any]) -> Any:
    """Returns the values of one message with its scalars passed through ``leaf``; what does not fit is left as it is.

    Args:
        value: The values: of a message, or of what is to become one.
        type_: Its type.
        registry: Knows the types in ``google.protobuf.Any``.
        leaf: Returns what stands for a scalar of a kind in another encoding.
    """
    known = shape(type_)
    if known.well_known == "Any":
        inside = payload(value, registry) if is_object(value) else None
        if inside is None:
            return value
        content = convert(inside[1], inside[0], registry, leaf)
        alone = shape(inside[0]).well_known is not None
        return {ANY_TYPE: value[ANY_TYPE], **({"value": content} if alone else content)}
    if known.well_known is not None:
        wraps = known.well_known.endswith("Value") and known.well_known not in ("Value", "ListValue")
        return leaf(known.fields[0].kind, value) if wraps else value
    if not is_object(value):
        return value
    fields = known.named
    return {key: _converted(fields.get(key), content, registry, leaf) for key, content in value.items()}


def _converted(field: Field | None, value: Any, registry: Registry | None, leaf: Callable[[Kind, Any], Any]) -> Any:
    if field is None:
        return value

    def element(content: Any) -> Any:
        return leaf(field.kind, content) if field.message is None else convert(content, field.message, registry, leaf)

    if field.key is not None:
        return {key: element(content) for key, content in value.items()} if is_object(value) else value
    if field.repeated:
        return [element(content) for content in value] if is_list(value) else value
    return element(value)
