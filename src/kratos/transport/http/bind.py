"""Requests to messages: path variables, query parameters and the body, bound to the fields the contract names.

Where two sources name the same field, the path wins over the query and the query over the body, as in Kratos. Winning
is replacing: a list in the query takes the place of one in the body and is not appended to it, and a member of a oneof
unsets the one that was there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kratos.codec.base import Codec
from kratos.codec.formwalk import split
from kratos.codec.messages import blank
from kratos.errors import BadRequest
from kratos.operation import AnyOperation, Http
from kratos.transport.http.body import ReplyBody, RequestBody
from kratos.transport.http.patch import Patch
from kratos.transport.http.plan import Plan

__all__ = ["MAX_PARAMETERS", "Binding"]

MAX_PARAMETERS: Final = 1000
"""More query parameters than any honest request has."""


class Binding:
    """How the requests of one route become messages, and its replies bodies; compiled when the server is built.

    Args:
        operation: What the route calls. Where its requests are streamed, each of them is a body.
        http: The rule of the route.

    Attributes:
        template: The rule's path.
        body: The field that the body fills, ``*`` for the whole message, empty for none.
        reads_body: Whether the body is part of the message; without, it is ignored.
        raw: Whether the body is bytes of any kind.
        reply: How replies become bodies.

    Raises:
        ValueError: A variable or body names a field that the message does not have, or that cannot be bound.
    """

    def __init__(self, operation: AnyOperation, http: Http) -> None:
        plan = Plan(operation, http)
        self.template = plan.template
        self._request = blank(operation.request)
        self._form = plan.form
        self._variables = plan.variables
        body = http.body or ("*" if operation.client_streams else "")
        self.body = body
        self._body = RequestBody(operation.request, body, plan.where) if body else None
        self.reads_body = self._body is not None
        self.raw = self._body is not None and self._body.raw
        # A body that is the whole message leaves the query nothing to say; but a Go client of a stream says it there.
        self._reads_query = body != "*" or operation.client_streams
        self._patch = Patch.of(http.method, operation.request, plan.body)
        self.reply = ReplyBody(operation.reply, http.response_body, plan.where)

    def empty(self) -> Any:
        """Returns an empty request message."""
        return self._request()

    def build(self, codec: Codec | None, body: bytes, query: str, values: Sequence[str]) -> Any:
        """Returns the request message.

        Args:
            codec: What reads the body; None if there is none.
            body: The request body; ignored where the rule has none.
            query: The query, percent-encoded.
            values: The text of the path variables, in the template's order.

        Raises:
            BadRequest: Something cannot be read; the message names the parameter and the reason.
        """
        message = self._body.read(codec, body) if self._body is not None and codec is not None else self._request()
        if query and self._reads_query:
            self._form.read(message, split(query, MAX_PARAMETERS, "the query"), "query parameter")
        for bound, text in zip(self._variables, values, strict=False):  # those of a raw route are its handler's
            try:
                bound.place.put(message, bound.place.read(text))
            except ValueError as reason:
                raise BadRequest(
                    f"path variable {bound.name}: {reason}", reason="CODEC", metadata={"field": bound.name}
                ) from None
        if self._patch is not None and codec is not None:
            self._patch.fill(message, codec, body)
        return message
