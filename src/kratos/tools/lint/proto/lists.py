"""Lists: a reply that grows for ever is one that fails some day."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kratos.tools.codegen.survey import MethodFacts, Survey
from kratos.tools.lint.base import Finding, Rule

__all__ = ["RULES", "find"]

PAGES: Final = Rule(
    "KRP111",
    "list-without-pages",
    "warning",
    "A unary List RPC returns a list, and its request has nothing that limits it.",
    "It works until there are many; then it takes too long, or is larger than a message may be.",
    "Add page_size and page_token to the request and next_page_token to the reply, or stream the reply.",
)
RULES: Final = (PAGES,)
"""The rules for lists."""

_LISTS = re.compile(r"(?:List|Search|Query)(?=[A-Z]|$)")
_LIMITS = re.compile(r"(?:^|_)(?:page|limit|offset|cursor|top|skip|max_results|count|size|first|last|ids|names)(?:_|$)")


def find(survey: Survey) -> Iterator[Finding]:
    """Yields lists without pages."""
    for method in survey.methods:
        if method.kind == "unary" and _LISTS.match(method.name) and _grows(survey, method):
            place = method.place
            message = f"{method.name} returns a list of any length, and {method.request} has no page_size"
            yield PAGES.at(place.path, place.line, place.column, message)


def _grows(survey: Survey, method: MethodFacts) -> bool:
    replied = survey.messages[method.reply].fields.values()
    asked = survey.messages[method.request].fields
    listed = any(field.repeated and not field.mapped for field in replied)
    return listed and not any(_LIMITS.search(name) for name in asked)
