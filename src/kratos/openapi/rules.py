"""What options of a field say about its use and its values: ``google.api.field_behavior`` and ``buf.validate``."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, Final

from kratos.codec.messages import Field, Message, get, has, option, shape
from kratos.wire.google.api.field_behavior_pb import FieldBehavior

__all__ = ["Behavior", "behavior", "demanded", "rules", "said"]

Behavior = FieldBehavior
"""The values of ``google.api.field_behavior``."""

_NONE: Final[frozenset[FieldBehavior]] = frozenset()


def behavior(field: Field, /) -> AbstractSet[FieldBehavior]:
    """Returns what the contract says of how a field is used."""
    said = option(field, "google.api.field_behavior")
    return frozenset(said) if said else _NONE


def rules(field: Field, /) -> Message | None:
    """Returns the ``buf.validate.FieldRules`` of a field, None if it has none."""
    found: Message | None = option(field, "buf.validate.field")
    return found


def demanded(field: Field, /) -> bool:
    """Tells whether a message without this field breaks the contract."""
    if field.required or Behavior.REQUIRED in behavior(field):
        return True
    found = rules(field)
    return found is not None and bool(get(found, shape(type(found)).named["required"]))


def said(message: Message, /) -> dict[str, Any]:
    """Returns what is set in a message of rules, by field name."""
    return {field.name: get(message, field) for field in shape(type(message)).fields if has(message, field)}
