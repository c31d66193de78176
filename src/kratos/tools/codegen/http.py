"""``google.api.http`` rules, as data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from protobuf import DescFieldValueMessage, DescMessage, DescMethod

__all__ = ["Rule", "rules", "unknown_fields"]

_VERBS = ("get", "put", "post", "delete", "patch")
_VARIABLE = re.compile(r"{\s*([\w.]+)")


@dataclass(frozen=True, slots=True)
class Rule:
    """One binding, as ``kratos.operation.Http`` has it."""

    method: str
    path: str
    body: str
    response_body: str


def rules(option: Mapping[str, Any] | None, operation: str) -> Iterator[Rule]:
    """Yields the bindings of an RPC, the primary one first.

    Args:
        option: The value of the ``google.api.http`` option, if there is one.
        operation: ``/package.Service/Method``, the path of a rule that has none.
    """
    if option is None:
        return
    for rule in (option, *option.get("additional_bindings", ())):
        verb, path = _pattern(rule)
        yield Rule(verb, path or operation, rule.get("body", ""), rule.get("response_body", ""))


def _pattern(rule: Mapping[str, Any]) -> tuple[str, str]:
    for verb in _VERBS:
        if verb in rule:
            return verb.upper(), rule[verb]
    custom = rule.get("custom", {})
    return custom.get("kind", "POST"), custom.get("path", "")


def unknown_fields(rule: Rule, rpc: DescMethod) -> Iterator[str]:
    """Yields what is wrong with a binding: it names fields that the messages do not have."""
    for variable in _VARIABLE.findall(rule.path):
        if not _has(rpc.input, variable.split(".")):
            yield f"the path {rule.path} of rpc {rpc.name} names {variable}, which is no field of {rpc.input.type_name}"
    if rule.body not in ("", "*") and not _has(rpc.input, [rule.body]):
        yield f'body: "{rule.body}" of rpc {rpc.name} is no field of {rpc.input.type_name}'
    if rule.response_body not in ("", "*") and not _has(rpc.output, [rule.response_body]):
        yield f'response_body: "{rule.response_body}" of rpc {rpc.name} is no field of {rpc.output.type_name}'


def _has(message: DescMessage, path: Sequence[str]) -> bool:
    field = next((field for field in message.fields if field.name == path[0]), None)
    if field is None or len(path) == 1:
        return field is not None
    return isinstance(field.value, DescFieldValueMessage) and _has(field.value.message, path[1:])
