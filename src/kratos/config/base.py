"""The words of configuration: sources, the layers they give, and the nodes layers are made of.

A source is read into a layer, and layers stay as they were read: what a program sees is computed from all of them, in
their order, each time one changes. A source that can change says so by one more method, ``watch``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, cast, runtime_checkable

__all__ = [
    "EMPTY",
    "MAX_DEPTH",
    "ConfigError",
    "Layer",
    "Node",
    "Place",
    "Problem",
    "Source",
    "State",
    "WatchedSource",
    "node",
]

MAX_DEPTH = 100
"""How deep mappings and lists may nest."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written.

    Attributes:
        name: The file, as the program named it, or what else a person looks for.
        line: The line, from 1; 0 if it is not known.
        column: The column, from 1; 0 if it is not known.
    """

    name: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join([self.name, *(str(number) for number in (self.line, self.column) if number)])


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place. Immutable, with all below it.

    Attributes:
        value: A mapping of nodes, a tuple of nodes, or a scalar.
        place: Where it is written: its key, if it has one.
        text: How a number or a truth value is written, if that is known: ``1.10`` is a version too.
        literal: It is taken as it is: placeholders in it are none.
        secret: Never to be shown, whatever its key is called.
    """

    value: Any
    place: Place
    text: str = ""
    literal: bool = False
    secret: bool = False

    @property
    def mapping(self) -> Mapping[str, Node] | None:
        """The nodes by key if it is a mapping, else None."""
        return cast("Mapping[str, Node]", self.value) if isinstance(self.value, Mapping) else None

    @property
    def items(self) -> tuple[Node, ...] | None:
        """The nodes in order if it is a list, else None."""
        return cast("tuple[Node, ...]", self.value) if isinstance(self.value, tuple) else None

    def hidden(self) -> Node:
        """Returns it as what is never to be shown, and so is all below it."""
        value = self.value
        if self.mapping is not None:
            value = MappingProxyType({key: below.hidden() for key, below in self.mapping.items()})
        elif self.items is not None:
            value = tuple(below.hidden() for below in self.items)
        return replace(self, value=value, secret=True)

    def plain(self) -> Any:
        """Returns the value in dicts, lists and scalars of the caller's own."""
        if self.mapping is not None:
            return {key: below.plain() for key, below in self.mapping.items()}
        return self.value if self.items is None else [below.plain() for below in self.items]


@dataclass(frozen=True, slots=True)
class Layer:
    """All that one source says. Immutable.

    Attributes:
        root: A mapping.
        loose: Its keys are spelled without regard to case and underscores, and mean the keys that other layers have.
    """

    root: Node
    loose: bool = False


EMPTY = Node(MappingProxyType({}), Place("the configuration"))
"""A mapping with nothing in it."""


class Source(Protocol):
    """Somewhere configuration comes from."""

    @property
    def name(self) -> str:
        """What a person calls it, such as the path of a file."""
        ...

    async def load(self) -> Layer:
        """Reads all there is.

        It may be called several times, though not while another call is under way, and may be cancelled at any time.

        Raises:
            ConfigError: It cannot be read, or not be understood; all that is wrong with it at once.
        """
        ...


@runtime_checkable
class WatchedSource(Source, Protocol):
    """A source that may change while the program runs."""

    def watch(self) -> AsyncIterator[State]:
        """Yields what the source has become, each time it is something else than was loaded or yielded before.

        What it yields is complete: a whole layer, never a part of one. Where the source can be read no more, or not be
        understood, it yields that as an error, once, and goes on watching. A source that cannot know what was loaded
        yields what it has first; a layer that says the same changes nothing.

        There is one watch at a time, in one task; it may be cancelled at any time, and is begun anew where watching
        begins anew. Ending says that nothing will change any more.

        Raises:
            Exception: The watch is lost. It is logged, and after a while there is another one; ``OSError`` is what is
                expected here, such as a connection that broke.
        """
        ...


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one place.

    Attributes:
        what: What was found, and what was expected.
        key: The key, with dots; empty if it is about no key.
        place: Where it is written; None if it is nowhere.
    """

    what: str
    key: str = ""
    place: Place | None = None

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place or ""), self.key, self.what) if part)


class ConfigError(ValueError):
    """The configuration cannot be used. It tells all that is wrong, with the places; secrets are not shown.

    Args:
        problems: At least one.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems]
        super().__init__(lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} problems:", *lines]))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


State: TypeAlias = Layer | ConfigError
"""What a source is at one time: what it says, or why it says nothing."""


def node(value: Any, place: Place, *, depth: int = 0) -> Node:
    """Returns plain data as a node; keys that are no text become text, and bytes do too.

    Raises:
        ConfigError: It is nested too deep, perhaps in itself.
    """
    if depth > MAX_DEPTH:
        raise ConfigError([Problem(f"nested deeper than {MAX_DEPTH} levels", place=place)])
    if isinstance(value, Mapping):
        keys = cast("Mapping[object, object]", value)
        below = {_key(key): node(each, place, depth=depth + 1) for key, each in keys.items()}
        return Node(MappingProxyType(below), place)
    if isinstance(value, list | tuple):
        items = cast("Sequence[object]", value)
        return Node(tuple(node(each, place, depth=depth + 1) for each in items), place)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    return Node(value, place)


def _key(key: object) -> str:
    if isinstance(key, bool) or key is None:
        return {True: "true", False: "false", None: "null"}[key]
    return str(key)
