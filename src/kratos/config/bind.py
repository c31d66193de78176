"""Binding: from the tree to what a program wants: messages, dataclasses, containers and single values.

All problems are found in one go, each with its key and its place.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Any, Final, Literal, TypeAlias, cast, get_args, get_origin

from kratos.config.base import ConfigError, Node, Place, Problem
from kratos.config.document import read
from kratos.config.keys import fold, join, nearest, shown
from kratos.config.scalars import SCALARS, choice

__all__ = ["ABSENT", "Binder", "Unknown"]

Unknown: TypeAlias = Literal["error", "ignore"]
"""What keys are that the target does not have."""

ABSENT: Final[Any] = object()
"""Stands where there is no value: because of a problem, or because it is null and the target has a say in that."""

_LISTS: Final[Mapping[Any, Callable[[Any], Any]]] = {
    list: list, Sequence: list, Collection: list, tuple: tuple, set: set, AbstractSet: set, frozenset: frozenset,
}  # fmt: skip
_MAPPINGS: Final = (dict, Mapping)


class Binder:
    """One binding, and what is wrong with it.

    Args:
        unknown: What keys are that the target does not have.
        message: Binds messages: it gets this binder, the node, the type and the path.

    Attributes:
        problems: What is wrong.
        hidden: The paths of fields that nobody may see, as their proto says, or ``repr=False`` of a dataclass.
    """

    def __init__(self, unknown: Unknown, message: Callable[[Binder, Node, type[Any], str], Any]) -> None:
        self.problems: list[Problem] = []
        self.hidden: set[str] = set()
        self._unknown: Unknown = unknown
        self._message = message

    def bind(self, node: Node, type_: Any, path: str) -> Any:
        """Returns a node as a value of a type; ``ABSENT`` if a problem stands in the way.

        Raises:
            TypeError: The type is none that configuration can be.
        """
        type_ = _named(type_)
        origin = get_origin(type_) or type_
        if origin is Any or origin is object or (node.value is None and type_ is types.NoneType):
            return node.plain()
        if origin in (typing.Union, types.UnionType):
            return self._union(node, get_args(type_), path)
        if node.value is None:
            return self.refuse(node, path, "there has to be a value")
        return self._value(node, origin, get_args(type_), path)

    def refuse(self, node: Node, path: str, what: str) -> Any:
        """Notes a problem with a node, and returns ``ABSENT``."""
        said = what if node.value is None else f"{shown(node, path)} {what}"
        self.problems.append(Problem(said, path, node.place))
        return ABSENT

    def keys(self, node: Node, path: str) -> Mapping[str, Node] | None:
        """Returns the keys of what has to be a mapping, or JSON text that is one."""
        node = self._parsed(node, path, "{")
        if node.mapping is None and node is not _BROKEN:
            self.refuse(node, path, "is not a mapping")
        return node.mapping

    def elements(self, node: Node, path: str) -> tuple[Node, ...] | None:
        """Returns the elements of what has to be a list, or JSON text that is one."""
        node = self._parsed(node, path, "[")
        if node.items is None and node is not _BROKEN:
            self.refuse(node, path, "is not a list")
        return node.items

    def stray(self, key: str, node: Node, path: str, names: Collection[str]) -> None:
        """Notes a key that the target does not have.

        At the top what comes from the environment is let pass: others set variables with our prefix too, Kubernetes for
        one, with the names of services.
        """
        if self._unknown == "error" and (path or not node.literal):
            what = f"no such key{nearest(key, names)}"
            self.problems.append(Problem(what, join(path, key), node.place))

    def fields(self, keys: Mapping[str, Node], names: Mapping[str, str], path: str) -> dict[str, tuple[str, Node]]:
        """Returns key and node of each field that has one.

        Args:
            keys: What there is.
            names: The field by each of its names.
            path: Where the keys are.
        """
        folded = {fold(name): field for name, field in names.items()}
        found: dict[str, tuple[str, Node]] = {}
        for key, node in keys.items():
            field = names.get(key) or folded.get(fold(key))
            if field is None:
                self.stray(key, node, path, names)
            elif field in found:
                first = found[field]
                what = f"the same as {first[0]}, which is set in {first[1].place}"
                self.problems.append(Problem(what, join(path, key), node.place))
            else:
                found[field] = (key, node)
        return found

    def _parsed(self, node: Node, path: str, bracket: str) -> Node:
        """Returns what JSON text says, and any other node as it is."""
        text = node.value
        if not isinstance(text, str) or not text.lstrip().startswith(bracket):
            return node
        try:
            # A document is a mapping, so a list is made to be in one.
            inside = read(f'{{"value":{text}\n}}'.encode(), "json", "")
        except ConfigError as error:
            self.refuse(node, path, f"is {error.problems[0].what}")
            return _BROKEN
        return _placed(inside.value["value"], node)

    def convert(self, node: Node, path: str, convert: Callable[[Node], Any]) -> Any:
        """Returns what a function makes of a node; what it raises as ``ValueError`` is a problem."""
        try:
            return convert(node)
        except ValueError as error:
            return self.refuse(node, path, str(error))

    def _value(self, node: Node, origin: Any, arguments: Sequence[Any], path: str) -> Any:
        if origin is Literal:
            return self.convert(node, path, lambda each: choice(each, {str(one): one for one in arguments}))
        if origin in _LISTS:
            return self._list(node, origin, arguments, path)
        if origin in _MAPPINGS:
            return self._mapping(node, arguments, path)
        return self._class(node, origin, path)

    def _union(self, node: Node, types_: Sequence[Any], path: str) -> Any:
        if node.value is None and types.NoneType in types_:
            return None
        types_ = [each for each in types_ if each is not types.NoneType]
        # What it is already goes before what it could be made.
        types_.sort(key=lambda each: each is not type(node.value))
        failures: list[Problem] = []
        for each in types_:
            attempt = Binder(self._unknown, self._message)
            value = attempt.bind(node, each, path)
            self.hidden |= attempt.hidden
            if not attempt.problems:
                return value
            failures = failures or attempt.problems
        self.problems += failures
        return ABSENT

    def _list(self, node: Node, origin: Any, arguments: Sequence[Any], path: str) -> Any:
        elements = self.elements(node, path)
        if elements is None:
            return ABSENT
        each: Sequence[Any] = [arguments[0] if arguments else Any] * len(elements)
        if origin is tuple and arguments and arguments[-1] is not Ellipsis:
            if len(elements) != len(arguments):
                return self.refuse(node, path, f"has {len(elements)} elements, not {len(arguments)}")
            each = arguments
        values = [
            self.bind(one, type_, f"{path}[{at}]") for at, (one, type_) in enumerate(zip(elements, each, strict=True))
        ]
        if any(value is ABSENT for value in values):
            return ABSENT
        return cast("Any", _LISTS[origin](values))

    def _mapping(self, node: Node, arguments: Sequence[Any], path: str) -> Any:
        keys = self.keys(node, path)
        if keys is None:
            return ABSENT
        key_type, value_type = arguments or (str, Any)
        values: dict[Any, Any] = {}
        for key, below in keys.items():
            name = self.bind(Node(key, below.place), key_type, join(path, key))
            value = self.bind(below, value_type, join(path, key))
            values[name] = value
        return ABSENT if any(ABSENT in (name, value) for name, value in values.items()) else values

    def _class(self, node: Node, wanted: Any, path: str) -> Any:
        if not isinstance(wanted, type):
            raise TypeError(f"configuration cannot be {wanted!r}")
        type_ = cast("type[Any]", wanted)
        if type_ is types.NoneType:
            return self.refuse(node, path, "is not null")
        if type_ in SCALARS:
            return self.convert(node, path, SCALARS[type_])
        if issubclass(type_, Enum):
            return self.convert(node, path, lambda each: choice(each, type_.__members__))
        if dataclasses.is_dataclass(type_):
            return self._record(node, type_, path)
        if hasattr(type_, "from_json"):
            return self._message(self, node, type_, path)
        raise TypeError(f"configuration cannot be a {type_.__qualname__}")

    def _record(self, node: Node, type_: type[Any], path: str) -> Any:
        """Returns a dataclass."""
        keys = self.keys(node, path)
        if keys is None:
            return ABSENT
        hints = typing.get_type_hints(type_)
        fields = {field.name: field for field in dataclasses.fields(type_) if field.init}
        found = self.fields(keys, {name: name for name in fields}, path)
        before = len(self.problems)
        values: dict[str, Any] = {}
        for name, field in fields.items():
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            key, below = found.get(name, (name, None))
            if below is not None and (below.value is not None or required or _nullable(hints[name])):
                if not field.repr:  # nobody is to see it
                    self.hidden.add(join(path, key))
                    below = below.hidden()
                values[name] = self.bind(below, hints[name], join(path, key))
            elif required:
                self.problems.append(Problem("missing", join(path, name), node.place))
        if len(self.problems) > before:
            return ABSENT
        try:
            return type_(**values)
        except (TypeError, ValueError) as error:  # what its __post_init__ says
            return self.refuse(node, path, f"is refused: {error}")


# Stands for text that is no JSON, of which the problem has been noted.
_BROKEN = Node("", Place(""))


def _placed(node: Node, like: Node) -> Node:
    """Returns a tree whose nodes are all where another node is."""
    value = node.value
    if node.mapping is not None:
        value = {key: _placed(below, like) for key, below in node.mapping.items()}
    elif node.items is not None:
        value = tuple(_placed(below, like) for below in node.items)
    return dataclasses.replace(like, value=value, text=node.text)


def _named(type_: Any) -> Any:
    """Returns what a ``NewType``, a ``type`` statement or ``Annotated`` stands for."""
    while True:
        if get_origin(type_) is typing.Annotated:
            type_ = get_args(type_)[0]
        elif hasattr(type_, "__supertype__"):
            type_ = type_.__supertype__
        elif hasattr(type_, "__value__") and not isinstance(type_, type):
            type_ = type_.__value__
        else:
            return type_


def _nullable(type_: Any) -> bool:
    type_ = _named(type_)
    return type_ in (Any, object, types.NoneType) or types.NoneType in get_args(type_)
