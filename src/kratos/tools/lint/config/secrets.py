"""Placeholders that lead nowhere, and secrets that everybody can read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from types import MappingProxyType
from typing import Final

from kratos.config.base import ConfigError, Node, Place
from kratos.config.keys import fold, join
from kratos.config.placeholders import Part, Reference, parts, render
from kratos.masking import secret
from kratos.tools.codegen.survey import Survey
from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.config.documents import Documents

__all__ = ["RULES", "find"]

PLACEHOLDER: Final = Rule(
    "KRC304",
    "placeholder",
    "error",
    "A placeholder leads nowhere.",
    "The program does not start.",
    "Correct its key, or give it a default: ${key:default}. Names in capitals are variables, and are let pass.",
)
SECRET: Final = Rule(
    "KRC305",
    "plain-secret",
    "error",
    "A secret is written in a file.",
    "Whoever can read the repository, or an image, has it, and so does its history.",
    "Write ${DB_PASSWORD} and set the variable where the program runs.",
)
RULES: Final = (PLACEHOLDER, SECRET)
"""The rules for placeholders and secrets."""

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_LOGIN = re.compile(r"://[^\s:/@]*:(?P<secret>[^\s@/]+)@")
_ABOUT = re.compile(
    r"(?:file|path|name|url|uri|header|issuer|audience|algorithm|ttl|timeout|expiry|type|prefix|field|id)$"
)
"""Ends of keys that say something about a secret and hold none."""
_FILE = re.compile(r"^(?:~|\.{0,2}/)|^[A-Za-z]:\\|\.(?:pem|crt|cer|key|jks|p12)$")
_KEY = re.compile(r"(?:^|[_.-])keys?$", re.IGNORECASE)
_RANDOM = re.compile(r"(?=.*[A-Za-z])(?=.*[0-9])[A-Za-z0-9+/=_.-]{16,}")


def find(documents: Documents, survey: Survey) -> Iterator[Finding]:
    """Yields placeholders that cannot be filled, and secrets in plain text."""
    yield from _placeholders(documents)
    hidden = frozenset(
        fold(field.name) for message in survey.messages.values() if message.own for field in message.fields.values()
        if field.sensitive
    )  # fmt: skip
    for file, root in documents.roots.items():
        yield from _secrets(file, root, "", hidden)


def _placeholders(documents: Documents) -> Iterator[Finding]:
    names = {name for node in _texts(documents.tree) for name in _named(_read(node)) if _VARIABLE.fullmatch(name)}
    environment = Node(
        MappingProxyType({name: Node("variable", Place("the environment")) for name in sorted(names)}),
        Place("the environment"),
    )
    try:
        render(documents.tree, environment)
    except ConfigError as error:
        for problem in error.problems:
            place = problem.place or Place(next(iter(documents.roots), ""))
            said = f"{problem.key}: {problem.what}" if problem.key else problem.what
            yield PLACEHOLDER.at(place.name, place.line, place.column or 1, said)


def _texts(node: Node) -> Iterator[Node]:
    if node.mapping is not None:
        for below in node.mapping.values():
            yield from _texts(below)
    elif node.items is not None:
        for below in node.items:
            yield from _texts(below)
    elif isinstance(node.value, str):
        yield node


def _read(node: Node) -> Sequence[Part]:
    try:
        return parts(node.value)
    except ValueError:
        return ()


def _named(found: Sequence[Part]) -> Iterator[str]:
    for part in found:
        if isinstance(part, Reference):
            yield part.name
            yield from _named(part.default or ())


def _secrets(file: str, node: Node, path: str, hidden: Collection[str]) -> Iterator[Finding]:
    if node.mapping is not None:
        for key, below in node.mapping.items():
            yield from _secrets(file, below, join(path, key), hidden)
    elif node.items is not None:
        for below in node.items:
            yield from _secrets(file, below, path, hidden)
    elif isinstance(node.value, str) and _shows(node.value, path, hidden):
        yield SECRET.at(file, node.place.line, node.place.column or 1, f"{path} is a secret in plain text")


def _shows(text: str, path: str, hidden: Collection[str]) -> bool:
    login = _LOGIN.search(text)
    if login is not None and "${" not in login["secret"]:
        return True
    key = fold(path.rpartition(".")[2])
    if key not in hidden and (not secret(path) or _ABOUT.search(key)):
        return False
    if _KEY.search(path) and key not in hidden and not _RANDOM.fullmatch(text):
        return False
    return not _FILE.search(text) and _plain(_parsed(text))


def _parsed(text: str) -> Sequence[Part]:
    try:
        return parts(text)
    except ValueError:
        return (text,)


def _plain(found: Sequence[Part]) -> bool:
    """Tells whether something of a text is written there, be it as a default."""
    return any(bool(part.strip()) if isinstance(part, str) else _plain(part.default or ()) for part in found)
