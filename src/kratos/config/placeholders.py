"""Placeholders: ``${key}`` and ``${key:default}`` in texts, filled from the merged tree.

A text that is one placeholder and nothing else becomes what the key holds, of whatever kind; in the midst of text a
scalar is put as it is written. A key that is null counts as missing; one that holds an empty text does not. Defaults
may hold colons, pairs of braces and further placeholders. ``$${`` stands for ``${``, and any other dollar for itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeAlias

from kratos.config.base import EMPTY, ConfigError, Node, Problem
from kratos.config.keys import join, lookup, nearest, parse
from kratos.masking import secret

__all__ = ["Reference", "parts", "render"]

MAX_LETTERS = 1 << 24
"""How much text placeholders may put into texts, all of them together."""

MAX_NODES = 100_000
"""How many values placeholders may put into the tree, all of them together."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A placeholder.

    Attributes:
        name: The key.
        default: What stands in for it, in pieces; None if nothing does.
    """

    name: str
    default: tuple[Part, ...] | None


Part: TypeAlias = "str | Reference"


class _Refusal(Exception):
    """What is wrong with a placeholder."""


def parts(text: str) -> tuple[Part, ...]:
    """Returns the pieces of a text.

    Raises:
        ValueError: A placeholder in it is none; the message says which.
    """
    found, _ = _parts(text, 0, inside=False)
    return found


def _parts(text: str, at: int, *, inside: bool) -> tuple[tuple[Part, ...], int]:
    """Reads pieces, up to the brace that closes a default if ``inside`` of one; returns where it ended."""
    pieces: list[Part] = []
    plain = ""
    braces = 0
    while at < len(text):
        if text.startswith("$${", at):
            plain += "${"
            braces += inside
            at += 3
        elif text.startswith("${", at):
            reference, at = _reference(text, at)
            pieces += [plain, reference] if plain else [reference]
            plain = ""
        elif inside and text[at] == "}" and not braces:
            break
        else:
            braces += inside and {"{": 1, "}": -1}.get(text[at], 0)
            plain += text[at]
            at += 1
    if plain:
        pieces.append(plain)
    return tuple(pieces), at


def _reference(text: str, start: int) -> tuple[Reference, int]:
    at = start + 2
    while at < len(text) and text[at] not in ":}":
        if text.startswith("${", at):
            raise ValueError(f"a placeholder within the name of another one: {text[start : at + 2]}…")
        at += 1
    name = text[start + 2 : at].strip()
    default: tuple[Part, ...] | None = None
    if text[at : at + 1] == ":":
        default, at = _parts(text, at + 1, inside=True)
    if at >= len(text):
        raise ValueError(f"a placeholder without its closing brace: {_cut(text[start:])}")
    if not parse(name):
        raise ValueError(f"not a placeholder: {_cut(text[start : at + 1])} ($${{ stands for ${{)")
    return Reference(name, default), at + 1


def _cut(text: str) -> str:
    """Returns the name of a placeholder for a message; its default may be a secret."""
    name, colon, _ = text.partition(":")
    return name[:40] + ("…" if colon or len(name) > 40 else "")


def render(root: Node, environment: Node = EMPTY) -> Node:
    """Returns a tree with all placeholders filled; the tree that was given stays as it is.

    Args:
        root: The tree.
        environment: What loose layers alone say. A name that is no key as it is written is looked up here first, so
            ``port: ${PORT:80}`` is no circle.

    Raises:
        ConfigError: Keys that are missing, chains that end in themselves, and what else is wrong, all at once.
    """
    renderer = _Renderer(root, environment)
    try:
        rendered = renderer.node(root, "")
    except RecursionError:
        raise ConfigError([Problem("placeholders go on and on, through too many steps", place=root.place)]) from None
    if renderer.problems:
        raise ConfigError(renderer.problems)
    return rendered


class _Renderer:
    """Renders each node once, when it is first needed.

    Args:
        root: The tree.
        environment: What loose layers alone say.
    """

    def __init__(self, root: Node, environment: Node) -> None:
        self.problems: list[Problem] = []
        self._root = root
        self._environment = environment
        self._done: dict[int, Node] = {}
        self._open: list[tuple[int, str]] = []
        self._letters = MAX_LETTERS
        self._nodes = MAX_NODES

    def node(self, node: Node, path: str) -> Node:
        """Returns a node without placeholders; what is wrong with it is a problem, and it stays as it is."""
        known = self._done.get(id(node))
        if known is not None:
            return known
        self._open.append((id(node), path))
        try:
            rendered = self._render(node, path)
        except _Refusal as refusal:
            self.problems.append(Problem(str(refusal), path, node.place))
            rendered = node
        finally:
            self._open.pop()
        self._done[id(node)] = rendered
        return rendered

    def _render(self, node: Node, path: str) -> Node:
        keys, items = node.mapping, node.items
        if keys is not None:
            below = {key: self.node(each, join(path, key)) for key, each in keys.items()}
            return replace(node, value=MappingProxyType(below))
        if items is not None:
            return replace(node, value=tuple(self.node(each, f"{path}[{at}]") for at, each in enumerate(items)))
        if not isinstance(node.value, str) or "${" not in node.value or node.literal:
            return node
        try:
            found = parts(node.value)
        except ValueError as error:
            raise _Refusal(str(error)) from None
        return self._filled(found, node)

    def _filled(self, found: tuple[Part, ...], node: Node) -> Node:
        """Returns the node that pieces amount to."""
        if len(found) == 1 and isinstance(found[0], Reference):
            return self._referred(found[0], node)
        text, hidden = "", node.secret
        for part in found:
            if isinstance(part, str):
                text += part
                continue
            referred = self._referred(part, node)
            if referred.mapping is not None or referred.items is not None:
                kind = "list" if referred.mapping is None else "mapping"
                raise _Refusal(f"${{{part.name}}} is a {kind} and cannot stand within text")
            text += written(referred)
            hidden |= referred.secret
        self._letters -= len(text)
        if self._letters < 0:
            raise ConfigError([Problem(f"placeholders make more than {MAX_LETTERS} letters", place=node.place)])
        return replace(node, value=text, secret=hidden)

    def _referred(self, reference: Reference, node: Node) -> Node:
        """Returns what a placeholder stands for."""
        found = self._find(parse(reference.name) or ())
        if found is not None and found.value is not None:
            at = self._position(found)
            if at is not None:
                chain = [path for _, path in self._open[at:]]
                raise _Refusal("refers to itself: " + " → ".join([*chain, chain[0]]))
            rendered = self.node(found, reference.name)
            self._weigh(rendered, node)
            return replace(rendered, secret=rendered.secret or secret(reference.name))
        if reference.default is not None:
            return self._filled(reference.default, node) if reference.default else replace(node, value="")
        _, last, missing = lookup(self._root, parse(reference.name) or ())
        hint = nearest(missing, last.mapping or ())
        raise _Refusal(f"${{{reference.name}}} is not set, and has no default{hint}")

    def _find(self, segments: tuple[str | int, ...]) -> Node | None:
        """Returns what a name means: a key as it is written, a variable, or a key that is spelled otherwise."""
        found = lookup(self._root, segments, exact=True)[0] or lookup(self._environment, segments)[0]
        if found is not None:
            return found
        alike = lookup(self._root, segments)[0]
        return None if alike is not None and self._position(alike) is not None else alike

    def _weigh(self, found: Node, node: Node) -> None:
        """Refuses a tree that grows too big: mappings that refer to mappings grow by powers."""
        waiting = [found]
        while waiting:
            self._nodes -= 1
            if self._nodes < 0:
                raise ConfigError([Problem(f"placeholders make more than {MAX_NODES} values", place=node.place)])
            current = waiting.pop()
            waiting += (current.mapping or {}).values() or current.items or ()

    def _position(self, node: Node) -> int | None:
        """Returns where a node is among those that are being rendered."""
        return next((at for at, (key, _) in enumerate(self._open) if key == id(node)), None)


def written(node: Node) -> str:
    """Returns a scalar as text."""
    if isinstance(node.value, str):
        return node.value
    if isinstance(node.value, bool):
        return "true" if node.value else "false"
    return node.text or str(node.value)
