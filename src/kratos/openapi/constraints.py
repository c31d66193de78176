"""Rules of ``buf.validate`` in the words of JSON Schema.

Only what means the same in both is taken over, so a schema never refuses what the rules allow. Messages of CEL
expressions, and bounds of 64-bit integers, which are strings in JSON, are said in words; the rest (times and durations)
is left to the server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from kratos.codec.messages import Field, Kind, Message, is_message
from kratos.openapi.rules import said
from kratos.openapi.wellknown import Schema

__all__ = ["constrained", "spoken"]

_FORMATS: Final[Mapping[str, str]] = {
    "email": "email",
    "hostname": "hostname",
    "ipv4": "ipv4",
    "ipv6": "ipv6",
    "uri": "uri",
    "uri_ref": "uri-reference",
    "uuid": "uuid",
}
_BOUNDS: Final[Mapping[str, str]] = {
    "gt": "exclusiveMinimum",
    "gte": "minimum",
    "lt": "exclusiveMaximum",
    "lte": "maximum",
}
_WORDS: Final[Mapping[str, str]] = {"gt": "more than", "gte": "at least", "lt": "less than", "lte": "at most"}
_SPECIAL: Final = frozenset("^$\\.*+?()[]{}|/")
_WIDE: Final = frozenset({"int64", "uint64"})
_ZERO_ALLOWED, _IGNORED = 1, 3  # buf.validate.Ignore: IF_ZERO_VALUE, ALWAYS
_ZEROS: Final[Mapping[Kind, Any]] = {"bool": False, "string": "", "bytes": "", "int64": "0", "uint64": "0"}


def constrained(schema: Schema, field: Field, rules: Message, *, numbers: bool) -> Schema:
    """Returns the schema of a field's value with what its rules say.

    Args:
        schema: The schema without.
        field: The field.
        rules: Its ``buf.validate.FieldRules``.
        numbers: Enums are numbers in JSON.
    """
    told = said(rules)
    ignore = _ignore(told)
    if ignore == _IGNORED:
        return schema
    rule = _of_kind(told)
    written = _value(schema, field, rule, numbers=numbers) if rule else schema
    if written == schema or ignore != _ZERO_ALLOWED:
        return written
    return {"anyOf": [{"const": _zero(field, numbers=numbers)}, written]}


def spoken(field: Field, rules: Message) -> list[str]:
    """Returns what the rules of a field say that no keyword says, as sentences."""
    told = said(rules)
    if _ignore(told) == _IGNORED:
        return []
    sentences: list[str] = []
    if field.kind in _WIDE and field.singular:
        rule = _of_kind(told)
        bounds = [f"{word} {rule[name]}" for name, word in _WORDS.items() if name in rule]
        # A lower bound above the upper one means outside of both.
        joined = " and ".join(bounds) if _in_order(rule) else " or ".join(bounds)
        sentences += [f"Must be {joined}."] if bounds else []
    expressions: list[Message] = told.get("cel") or []
    messages = [str(said(expression).get("message", "")) for expression in expressions]
    return sentences + [f"{text[:1].upper()}{text[1:].rstrip('.')}." for text in messages if text]


def _value(schema: Schema, field: Field, rule: Mapping[str, Any], *, numbers: bool) -> Schema:
    if field.key is not None:
        return _map(schema, field, rule, numbers=numbers)
    if not field.repeated:
        return _element(schema, field.kind, field, rule, numbers=numbers)
    words = {"min_items": "minItems", "max_items": "maxItems", "unique": "uniqueItems"}
    found = {word: rule[name] for name, word in words.items() if name in rule}
    items = _inner(schema["items"], field.kind, field, rule.get("items"), numbers=numbers)
    return {**schema, "items": items, **found}


def _map(schema: Schema, field: Field, rule: Mapping[str, Any], *, numbers: bool) -> Schema:
    words = {"min_pairs": "minProperties", "max_pairs": "maxProperties"}
    found = {word: rule[name] for name, word in words.items() if name in rule}
    values = _inner(schema["additionalProperties"], field.kind, field, rule.get("values"), numbers=numbers)
    if field.key == "string":  # Other keys are texts in JSON and not what their rules are about.
        keys = _inner({}, "string", field, rule.get("keys"), numbers=numbers)
        found |= {"propertyNames": keys} if keys else {}
    return {**schema, "additionalProperties": values, **found}


def _inner(schema: Schema, kind: Kind, field: Field, rules: Message | None, *, numbers: bool) -> Schema:
    told = {} if rules is None else said(rules)
    rule = _of_kind(told)
    if not rule or _ignore(told):
        return schema
    return _element(schema, kind, field, rule, numbers=numbers)


def _of_kind(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the rules that belong to the kind of the field, beside those that any field may have."""
    none: Mapping[str, Any] = {}
    return next((said(rule) for rule in told.values() if is_message(rule)), none)


def _ignore(told: Mapping[str, Any]) -> int:
    return int(told.get("ignore", 0))


def _element(schema: Schema, kind: Kind, field: Field, rule: Mapping[str, Any], *, numbers: bool) -> Schema:
    match kind:
        case "string":
            found = _string(rule)
        case "bytes":
            found = _bytes(rule)
        case "enum":
            found = _choice(rule, partial(_named, field, numbers=numbers))
        case "bool":
            found = _choice(rule, bool)
        case "message":
            found = {}
        case _ if kind in _WIDE:
            found = _choice(rule, str)
        case _:
            return _number(schema, rule)
    return {**schema, **found}


def _choice(rule: Mapping[str, Any], written: Callable[[Any], object]) -> Schema:
    """Returns what allows one value, some values, or all but some."""
    found: Schema = {}
    if "const" in rule:
        found["const"] = written(rule["const"])
    if "in" in rule:
        found["enum"] = [written(value) for value in rule["in"]]
    if "not_in" in rule:
        found["not"] = {"enum": [written(value) for value in rule["not_in"]]}
    return found


def _number(schema: Schema, rule: Mapping[str, Any]) -> Schema:
    found = _choice(rule, _itself)
    if _in_order(rule):
        found |= {word: rule[name] for name, word in _BOUNDS.items() if name in rule}
    if "anyOf" not in schema:
        return {**schema, **found}
    plain, texts = schema["anyOf"]  # Exact floats: a number, or the text of what is none.
    if rule.get("finite") or {"const", "in"} & set(rule):
        return {**plain, **found}
    return {"anyOf": [{**plain, **found}, texts]}


def _in_order(rule: Mapping[str, Any]) -> bool:
    """Tells whether bounds enclose what they allow."""
    low, high = rule.get("gt", rule.get("gte")), rule.get("lt", rule.get("lte"))
    return low is None or high is None or low < high or (low == high and "gte" in rule and "lte" in rule)


def _string(rule: Mapping[str, Any]) -> Schema:
    found = _choice(rule, str)
    for name, words in (("len", ("minLength", "maxLength")), ("min_len", ("minLength",)), ("max_len", ("maxLength",))):
        if name in rule:
            found |= dict.fromkeys(words, rule[name])
    patterns = [rule["pattern"]] if "pattern" in rule and not rule["pattern"].startswith("(?") else []
    patterns += [f"^{_literal(rule['prefix'])}"] if "prefix" in rule else []
    patterns += [f"{_literal(rule['suffix'])}$"] if "suffix" in rule else []
    patterns += [_literal(rule["contains"])] if "contains" in rule else []
    if len(patterns) == 1:
        found["pattern"] = patterns[0]
    elif patterns:
        found["allOf"] = [{"pattern": pattern} for pattern in patterns]
    formats = [word for name, word in _FORMATS.items() if rule.get(name)]
    return {**found, **({"format": formats[0]} if formats else {})}


def _bytes(rule: Mapping[str, Any]) -> Schema:
    found: Schema = {}
    for name, words in (("len", ("minLength", "maxLength")), ("min_len", ("minLength",)), ("max_len", ("maxLength",))):
        if name in rule:
            found |= dict.fromkeys(words, (rule[name] + 2) // 3 * 4)  # in base64
    return found


def _literal(text: str) -> str:
    """Returns a text as a pattern; a dialect that all have in common."""
    return "".join(f"\\{sign}" if sign in _SPECIAL else sign for sign in text)


def _itself(value: object) -> object:
    return value


def _named(field: Field, number: int, *, numbers: bool) -> Any:
    if numbers or field.enum is None:
        return int(number)
    return field.enum.names.get(int(number), int(number))


def _zero(field: Field, *, numbers: bool) -> Any:
    if field.key is not None:
        return {}
    if field.repeated:
        return []
    return _named(field, 0, numbers=numbers) if field.enum is not None else _ZEROS.get(field.kind, 0)
