"""How a service is reached: over which transports, and for how long somebody waits."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from kratos.tools.codegen.survey import MessageFacts, MethodFacts, Survey
from kratos.tools.lint.base import Finding, Rule

__all__ = ["RULES", "find"]

ROUTELESS: Final = Rule(
    "KRP114",
    "rpc-without-route",
    "warning",
    "A unary RPC has no HTTP route, though others of its service have one.",
    "Over HTTP it is not there: it was forgotten, or belongs to another service.",
    "Give it a google.api.http option; a service that is for gRPC alone has none at all.",
)
LIMIT: Final = Rule(
    "KRP115",
    "server-without-limit",
    "warning",
    "What configures a server has no `timeout` that is a google.protobuf.Duration.",
    "The time limit of unary calls cannot be changed without a new release, or 5 means seconds here and ns there.",
    "Add google.protobuf.Duration timeout.",
)
RULES: Final = (ROUTELESS, LIMIT)
"""The rules for how services are reached."""

_SERVER = re.compile(r"(?:^|\.)(?:Server\.(?:HTTPS?|GRPC)|(?:HTTPS?|GRPC)_?Server(?:Conf(?:ig)?)?)$", re.IGNORECASE)
_LISTENS: Final = frozenset({"addr", "address", "listen", "port", "bind"})
_DURATION: Final = "google.protobuf.Duration"


def find(survey: Survey) -> Iterator[Finding]:
    """Yields RPCs that only some transports have, and servers whose time limit cannot be set."""
    services: dict[str, list[MethodFacts]] = defaultdict(list)
    for method in survey.methods:
        services[method.service].append(method)
    for methods in services.values():
        if any(method.rules for method in methods):
            for method in methods:
                if method.kind == "unary" and not method.rules:
                    place, service = method.place, method.service.rpartition(".")[2]
                    message = f"{method.name} has no HTTP route, and others of {service} have one"
                    yield ROUTELESS.at(place.path, place.line, place.column, message)
    for configured in survey.messages.values():
        if configured.own and _SERVER.search(configured.name) and not _LISTENS.isdisjoint(configured.fields):
            yield from _limit(configured)


def _limit(message: MessageFacts) -> Iterator[Finding]:
    field = message.fields.get("timeout")
    if field is None:
        place = message.place
        yield LIMIT.at(place.path, place.line, place.column, f"{message.name} has no timeout")
    elif field.type_name != _DURATION:
        kind = field.type_name or field.kind
        said = f"the timeout of {message.name} is of type {kind}, which has no unit: {_DURATION}"
        yield LIMIT.at(field.place.path, field.place.line, field.place.column, said)
