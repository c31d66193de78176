"""What may be configured and is read by nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from kratos.config.keys import join
from kratos.tools.codegen.survey import FieldFacts, Survey
from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.python.module import Module

__all__ = ["RULES", "find"]

UNREAD: Final = Rule(
    "KRC308",
    "key-never-read",
    "warning",
    "The schema has a key whose name is nowhere in the code.",
    "Whoever sets it waits for an effect that never comes.",
    "Read it, or take it out of the message and reserve its number.",
)
RULES: Final = (UNREAD,)
"""The rules for what nobody reads."""

_WORD = re.compile(r"\w+")
_WHOLE = re.compile(r"[(,=*]\s*(?:\w+\.)+(?P<name>\w+)\s*(?=[),\n])")
"""A message that is handed on as a whole: whoever takes it may read all of it."""


def find(modules: Sequence[Module], schema: str, survey: Survey) -> Iterator[Finding]:
    """Yields the fields that no code of the project names, the outer ones only.

    It goes by words: a name that is there for something else counts as read. Nothing is said of a project that reads
    none of its schema, which is somebody else's then.
    """
    reading = _Reading([module.text for module in modules if not module.is_test])
    message = survey.messages.get(schema)
    if message is not None and any(map(reading.names, message.fields.values())):
        yield from _unread(survey, schema, reading, "", frozenset())


class _Reading:
    """What code may read.

    Args:
        texts: The code.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._words = {word for text in texts for word in _WORD.findall(text)}
        self._whole = {found["name"] for text in texts for found in _WHOLE.finditer(text)}

    def names(self, field: FieldFacts) -> bool:
        """Tells whether a field is named anywhere."""
        return not self._words.isdisjoint({field.name, field.json_name, f"{field.name}_", field.name.upper()})

    def hands_on(self, field: FieldFacts) -> bool:
        """Tells whether a message is handed on as a whole, so that nobody knows what of it is read."""
        return not self._whole.isdisjoint({field.name, field.json_name})


def _unread(survey: Survey, name: str, reading: _Reading, path: str, above: frozenset[str]) -> Iterator[Finding]:
    message = survey.messages.get(name)
    if message is None or not message.own or name in above:
        return
    for field in message.fields.values():
        here, place = join(path, field.name), field.place
        if not reading.names(field):
            yield UNREAD.at(place.path, place.line, place.column, f"no code names {field.name}: {here} has no effect")
        elif field.kind == "message" and not reading.hands_on(field):
            yield from _unread(survey, field.type_name, reading, here, above | {name})
