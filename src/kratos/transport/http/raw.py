"""Routes beside the contract: a path, and a handler of raw bodies. They live by the law like any other operation.

A route is a unary operation on ``google.api.HttpBody`` with the name ``HTTP GET /x``: middleware, limits, deadlines,
ranges and the access log are the same. It is served over HTTP only, and no OpenAPI document mentions it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, cast
from urllib.parse import parse_qsl

from multidict import MultiDict, MultiDictProxy

from kratos.call import Call
from kratos.errors import BadRequest
from kratos.operation import AnyOperation, Http
from kratos.pathtemplate import Template
from kratos.transport.http.bind import MAX_PARAMETERS, Binding
from kratos.transport.http.extra import Raw
from kratos.wire.google.api.httpbody_pb import HttpBody

__all__ = ["HTTPRequest", "RawBinding", "RawHandler", "RawRoute", "handle", "request_of"]

RawHandler: TypeAlias = "Callable[[HttpBody, Call], Awaitable[HttpBody]] | Callable[[HttpBody, Call], HttpBody]"
"""Takes a body and answers with one: an ``async def``, or a plain ``def``, which runs in a thread."""

_REQUEST: Final = "kratos.http.request"


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """What a request says beside its headers and its body.

    Attributes:
        method: The verb.
        path: As it came, percent-encoded.
        values: The variables of the path, decoded, by name.
        query: The query parameters, decoded; a name may come more than once.
    """

    method: str
    path: str
    values: Mapping[str, str]
    query: MultiDictProxy[str]


@dataclass(frozen=True, slots=True)
class RawRoute:
    """A route and its handler, see ``handle``.

    Attributes:
        operation: What stands for it in the chain and in the logs.
        handler: What answers.
    """

    operation: Raw
    handler: RawHandler


def handle(method: str, path: str, handler: RawHandler) -> RawRoute:
    """Returns a route beside the contract, for ``HTTPServer(routes=[...])``.

    Its name, for ``only`` and in logs, is ``HTTP GET /x``.

    Args:
        method: The verb, ``*`` for every one.
        path: A path template, ``/hooks/{source}``; variables may have any names.
        handler: Takes the body as it came and returns the one that goes back.

    Raises:
        ValueError: The template breaks the grammar; the message says where.

    Example:
        ``HTTPServer(routes=[handle("POST", "/hooks/{source}", hook)])``
    """
    Template(path)
    verb = method.upper()
    return RawRoute(Raw(f"HTTP {verb} {path}", HttpBody, HttpBody, http=(Http(verb, path, body="*"),)), handler)


def request_of(call: Call) -> HTTPRequest:
    """Returns what the request of a raw route says beside headers and body.

    Raises:
        LookupError: The call did not come by a raw route.
    """
    found = call.state.get(_REQUEST)
    if found is None:
        raise LookupError(f"{call.operation} is no raw route: its message says all that the request did")
    return cast("HTTPRequest", found)


class RawBinding(Binding):
    """How requests become raw bodies: path and query are the handler's own business.

    Args:
        operation: The operation.
        http: Its rule.
    """

    def __init__(self, operation: AnyOperation, http: Http) -> None:
        template = Template(http.path)
        super().__init__(operation, Http(http.method, _unbound(template), body="*"))
        self.template = template
        self._names = [".".join(variable.path) for variable in template.variables]

    def keep(self, call: Call, *, method: str, path: str, query: str, values: Sequence[str]) -> None:
        """Leaves on a call what ``request_of`` tells; more parameters than any honest query has reject it."""
        pairs: list[tuple[str, str]] = []
        try:
            pairs = parse_qsl(query, keep_blank_values=True, errors="replace", max_num_fields=MAX_PARAMETERS)
        except ValueError:
            call.rejected = BadRequest(f"the query has more than {MAX_PARAMETERS} parameters", reason="CODEC")
        named = dict(zip(self._names, values, strict=True))
        call.state[_REQUEST] = HTTPRequest(method, path, named, MultiDictProxy(MultiDict(pairs)))


def _unbound(template: Template) -> str:
    """Returns the path of a template with wildcards in the place of its variables."""
    text = template.text
    for variable in template.variables:
        text = text.replace(variable.text, "/".join(variable.segments), 1)
    return text
