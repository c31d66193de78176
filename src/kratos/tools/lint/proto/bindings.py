"""Bindings: what of an HTTP request fills which field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kratos.tools.codegen.http import Rule as Binding
from kratos.tools.codegen.survey import FieldFacts, MethodFacts, Survey
from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.proto.routes import routes

__all__ = ["RULES", "find"]

BODY: Final = Rule(
    "KRP103",
    "get-with-body",
    "error",
    "A GET, HEAD or DELETE has a body.",
    "Proxies, caches and clients drop such a body, or refuse the request: fields arrive empty.",
    "Leave out `body`, and the fields come from path and query; or make it a POST.",
)
BODILESS: Final = Rule(
    "KRP104",
    "post-without-body",
    "warning",
    "A POST, PUT or PATCH has no body, though its request has fields that the path does not fill.",
    "These fields are read from the query alone; whoever sends JSON is not understood.",
    'Add body: "*", or the name of a field.',
)
VARIABLE: Final = Rule(
    "KRP105",
    "path-variable",
    "error",
    "A variable of a path is no single scalar of the request.",
    "A text between slashes cannot fill a list, a map or a message: the server does not start.",
    "Name a field that there is, and that is a string, a number, a bool or an enum.",
)
FIELD: Final = Rule(
    "KRP107",
    "body-field",
    "error",
    "`body` or `response_body` names no field.",
    "Code cannot be generated from it.",
    'Name a field, or "*" for the whole message.',
)
SECRET: Final = Rule(
    "KRP113",
    "secret-in-url",
    "error",
    "A secret of the request is sent in the path or the query.",
    "Addresses are in access logs, in histories and in the Referer of the next request.",
    'Make it a POST with body: "*", or send the secret in a header.',
)
RULES: Final = (BODY, BODILESS, VARIABLE, FIELD, SECRET)
"""The rules for bindings."""

_WITHOUT = ("GET", "HEAD", "DELETE")
_WITH = ("POST", "PUT", "PATCH")
_TEXTUAL = frozenset(
    {"google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask"}
    | {f"google.protobuf.{kind}Value" for kind in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32")}
    | {f"google.protobuf.{kind}Value" for kind in ("Bool", "String", "Bytes")}
)
"""Messages that are one text."""
_SECRET = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|secret|client_secret|access_token|refresh_token|api_key|private_key)$"
)


def find(survey: Survey) -> Iterator[Finding]:
    """Yields what is wrong with bindings."""
    for method in survey.methods:
        for binding in method.rules:
            yield from _body(survey, method, binding)
    for route in routes(survey):
        yield from _variables(survey, route.method, [variable.path for variable in route.template.variables])
        yield from _secrets(survey, route.method, route.binding, {each.path[0] for each in route.template.variables})
        if route.binding.method in _WITH and not route.binding.body and route.method.kind == "unary":
            filled = {variable.path[0] for variable in route.template.variables}
            left = [name for name in survey.messages[route.method.request].fields if name not in filled]
            if left:
                yield _at(BODILESS, route.method, f'{route} has no body for {", ".join(left)}: body: "*" takes them')


def _at(rule: Rule, method: MethodFacts, message: str) -> Finding:
    return rule.at(method.place.path, method.place.line, method.place.column, message)


def _body(survey: Survey, method: MethodFacts, binding: Binding) -> Iterator[Finding]:
    if binding.body and binding.method in _WITHOUT:
        yield _at(BODY, method, f"{binding.method} {binding.path} of {method.name} has a body: it may not arrive")
    for role, name, message in (("body", binding.body, method.request),
                                ("response_body", binding.response_body, method.reply)):  # fmt: skip
        if name not in ("", "*") and survey.field_at(message, [name]) is None:
            yield _at(FIELD, method, f'{role}: "{name}" of {method.name} is no field of {message}')


def _variables(survey: Survey, method: MethodFacts, paths: list[tuple[str, ...]]) -> Iterator[Finding]:
    for path in paths:
        field = survey.field_at(method.request, path)
        name = ".".join(path)
        if field is None:
            yield _at(
                VARIABLE, method, f"the path of {method.name} names {name}, which is no field of {method.request}"
            )
        elif not _textual(field):
            kind = "a map" if field.mapped else "a list" if field.repeated else f"a {field.type_name}"
            yield _at(VARIABLE, method, f"{name} in the path of {method.name} is {kind}, which a path cannot hold")


def _textual(field: FieldFacts) -> bool:
    return not field.repeated and (field.kind != "message" or field.type_name in _TEXTUAL)


def _secrets(survey: Survey, method: MethodFacts, binding: Binding, variables: set[str]) -> Iterator[Finding]:
    for field in survey.messages[method.request].fields.values():
        in_body = binding.body in ("*", field.name)
        if (field.sensitive or _SECRET.search(field.name)) and (field.name in variables or not in_body):
            yield _at(
                SECRET, method, f"{binding.method} {binding.path} of {method.name} has {field.name} in its address"
            )
