"""YAML, the part of it that configuration needs: version 1.2's idea of what is a number, and nothing that runs code.

``on``, ``yes``, ``off`` and ``no`` are text, ``010`` is ten, and dates are text until a date is wanted. Anchors,
aliases and merge keys (``<<``) work, as long as they do not make much out of little.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import yaml

from kratos.config.base import EMPTY, MAX_DEPTH, ConfigError, Node, Place, Problem

__all__ = ["read"]

MAX_ALIASED = 10_000
"""How many values aliases may add to those that are written."""

_TAG: Final = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


_PLAIN: Final = "plain"
"""The tag of what has neither tag nor quotes."""


class _Loader(yaml.SafeLoader):
    """Composes nodes, and leaves to us what a plain scalar is."""


_Loader.yaml_implicit_resolvers = {None: [(_PLAIN, re.compile(""))]}


def read(text: str, name: str) -> Node:
    """Reads a document.

    Args:
        text: The document.
        name: What error messages call it.

    Raises:
        ConfigError: It cannot be understood.
        RecursionError: It is nested too deep.
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        what = ", ".join(part for part in (error.problem, error.context) if part)
        raise _wrong(f"not YAML: {what}", name, error.problem_mark or error.context_mark) from None
    except yaml.YAMLError as error:  # a character that may not be there
        at: int = getattr(error, "position", 0)
        line = text.count("\n", 0, at) + 1
        what = f"the character {chr(getattr(error, 'character', 0))!a} may not be in YAML"
        place = Place(name, line, at - text.rfind("\n", 0, at))
        raise ConfigError([Problem(f"not YAML: {what}", place=place)]) from None
    return _Reader(text, name).node(root, 0) if root is not None else Node(EMPTY.value, Place(name))


class _Reader:
    """Turns what the library has composed into nodes of ours.

    Args:
        text: The document; its length bounds the values that are written in it.
        name: What it is called.
    """

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        self._left = len(text) + MAX_ALIASED

    def node(self, found: yaml.Node, depth: int, place: Place | None = None) -> Node:
        """Returns a node, at the place of its key if it has one."""
        self._left -= 1
        if self._left < 0:
            raise self._wrong(f"aliases make more than {MAX_ALIASED} values", found)
        if depth > MAX_DEPTH:
            raise RecursionError
        place = place or Place(self._name, found.start_mark.line + 1)
        match found:
            case yaml.MappingNode():
                self._check_tag(found, "map")
                return Node(MappingProxyType(self._mapping(found, depth)), place)
            case yaml.SequenceNode():
                self._check_tag(found, "seq")
                return Node(tuple(self.node(each, depth + 1) for each in found.value), place)
            case _:
                return self._scalar(found, place)

    def _mapping(self, found: yaml.MappingNode, depth: int) -> dict[str, Node]:
        below: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, value in found.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._wrong("a key has to be text", key)
            if key.value == "<<" and key.style is None:
                for each in self._merged(value, depth):
                    merged = {**each, **merged}
                continue
            if key.value in below:
                first = below[key.value].place.line
                raise self._wrong(f"the key {key.value!r} comes twice; first in line {first}", key)
            below[key.value] = self.node(value, depth + 1, Place(self._name, key.start_mark.line + 1))
        return {**merged, **below}

    def _merged(self, value: yaml.Node, depth: int) -> Iterator[dict[str, Node]]:
        """Yields the mappings that a merge key names; earlier ones win."""
        for each in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            keys = self.node(each, depth + 1).mapping
            if keys is None:
                raise self._wrong("a merge key takes a mapping, or a list of mappings", each)
            yield dict(keys)

    def _scalar(self, found: yaml.Node, place: Place) -> Node:
        text: str = found.value
        if found.tag == _PLAIN:
            value = _plain(text)
        elif found.tag in _TAGGED:
            try:
                value = _TAGGED[found.tag](text)
            except (KeyError, ValueError):
                raise self._wrong(f"{text!r} is not what its tag {_short(found.tag)} says", found) from None
        else:
            raise self._foreign(found)
        return Node(value, place, text="" if value is None or isinstance(value, str) else text)

    def _check_tag(self, found: yaml.Node, expected: str) -> None:
        if found.tag != _TAG + expected:
            raise self._foreign(found)

    def _foreign(self, found: yaml.Node) -> ConfigError:
        return self._wrong(f"the tag {_short(found.tag)} is not for configuration", found)

    def _wrong(self, what: str, found: yaml.Node) -> ConfigError:
        return _wrong(what, self._name, found.start_mark)


def _plain(text: str) -> Any:
    """Returns what a scalar without quotes is, by the core schema of YAML 1.2."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if not _FLOAT.fullmatch(text) and not _INT.fullmatch(text):
        return text
    try:
        return _int(text) if _INT.fullmatch(text) else _float(text)
    except ValueError:  # more digits than int() takes
        return text


def _int(text: str) -> int:
    if not _INT.fullmatch(text):
        raise ValueError(text)
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _float(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise ValueError(text)
    return float(re.sub(r"\.(?=[inIN])", "", text))


_TAGGED: Final[Mapping[str, Callable[[str], Any]]] = {
    f"{_TAG}str": str,
    f"{_TAG}int": _int,
    f"{_TAG}float": _float,
    f"{_TAG}bool": _BOOLS.__getitem__,
    f"{_TAG}null": dict.fromkeys(_NULLS).__getitem__,
}


def _short(tag: str) -> str:
    return tag.replace(_TAG, "!!")


def _wrong(what: str, name: str, mark: Any) -> ConfigError:
    place = Place(name, mark.line + 1, mark.column + 1) if mark is not None else Place(name)
    return ConfigError([Problem(what, place=place)])
