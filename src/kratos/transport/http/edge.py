"""The edge of HTTP: one pure coroutine from a request to a response, whichever front has read it.

Fronts (ASGI today) bring bytes and take bytes away; routing, negotiation, binding, errors and reply headers happen
here and only here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kratos.call import Call, Peer
from kratos.codec.base import Codec, CodecSet, Negotiated
from kratos.errors import ClientError, Error
from kratos.metadata import Metadata
from kratos.transport.deadline import parse_timeout
from kratos.transport.dispatch import Dispatcher, Endpoint
from kratos.transport.http.bind import Binding
from kratos.transport.http.problem import to_status
from kratos.transport.http.route import Match, Router, Template

__all__ = ["Edge", "Request", "Response", "Target"]

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a front reads it.

    Attributes:
        method: The verb, in upper case.
        path: As it came: percent-encoded, without the query.
        query: What follows the question mark, percent-encoded.
        headers: Names in lower case.
        peer: The other end.
    """

    method: str
    path: str
    query: str
    headers: Sequence[Header]
    peer: Peer


@dataclass(frozen=True, slots=True)
class Response:
    """A response for a front to write; ``content-length`` is the length of ``body``."""

    status: int
    headers: list[Header]
    body: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What a route leads to: an endpoint, and how requests become its message."""

    endpoint: Endpoint
    binding: Binding

    def __str__(self) -> str:
        return self.endpoint.operation.name


class Edge:
    """Answers requests with the operations of a dispatcher.

    Args:
        dispatcher: What answers.
        codecs: The encodings it speaks.

    Raises:
        ValueError: A binding of an operation cannot be served: a bad template, an unknown field, a clash of routes.
    """

    def __init__(self, dispatcher: Dispatcher, codecs: CodecSet) -> None:
        self._dispatcher = dispatcher
        self._codecs = codecs
        # Where a client accepts none of our encodings it gets the default one, as from Kratos, rather than a 406: an
        # error it can read is worth more than one it cannot.
        self._default = Negotiated(codecs.default, codecs.default.content_types[0])
        self.router: Router[Target] = Router(_routes(dispatcher))

    def match(self, request: Request) -> Match[Target]:
        """Returns what a request is for, before its body is read.

        Raises:
            Error: 404, 405, or 400 for a path that cannot be read.
        """
        return self.router.match(request.method, request.path)

    async def answer(self, request: Request, match: Match[Target], body: bytes) -> Response:
        """Runs one unary call. Never raises an ``Error``: failures are responses too.

        Raises:
            asyncio.CancelledError: The client has left.
        """
        endpoint = match.target.endpoint
        headers = Metadata.from_raw(request.headers)
        call = Call(
            endpoint.operation,
            kind="http",
            side="server",
            peer=request.peer,
            headers=headers,
            app=self._dispatcher.app,
        )
        accepted = self._codecs.for_reply(headers.get("accept")) or self._default
        binding = match.target.binding
        try:
            _limit(call, headers.get("x-request-timeout"))
            codec = self._codec(headers) if body and binding.reads_body else None
            message = binding.build(codec, body, request.query, match.values)
        except Error as rejected:
            message = binding.empty()
            call.rejected = rejected
        try:
            reply = await self._dispatcher.dispatch(endpoint, message, call)
            encoded = accepted.codec.encode(reply)
        except Error as error:
            return self.refuse(error, accepted, call)
        return Response(call.reply.status or 200, _headers(accepted, call), encoded)

    def refuse(self, error: Error, accepted: Negotiated | None = None, call: Call | None = None) -> Response:
        """Returns the response of a failure."""
        negotiated = accepted or self._default
        headers = _headers(negotiated, call)
        if error.code == 405 and "allow" in error.metadata:
            headers.append((b"allow", error.metadata["allow"].encode("latin-1")))
        return Response(error.status, headers, negotiated.codec.encode(to_status(error)))

    def _codec(self, headers: Metadata) -> Codec:
        """Returns what reads the body."""
        content_type = headers.get("content-type")
        codec = self._codecs.for_request(content_type)
        if codec is None:
            named = "no Content-Type" if content_type is None else f"Content-Type {content_type[:100]}"
            raise ClientError(
                f"{named}: this server reads {', '.join(codec.content_types[0] for codec in self._codecs)}",
                code=415,
                reason="UNSUPPORTED_MEDIA_TYPE",
            )
        return codec


def _routes(dispatcher: Dispatcher) -> Iterable[tuple[str, Template, Target]]:
    for endpoint in dispatcher.endpoints.values():
        operation = endpoint.operation
        if operation.client_streams or operation.server_streams:
            continue  # unary only, so far
        for http in operation.http:
            template = Template(http.path)
            yield http.method, template, Target(endpoint, Binding(operation, http, template))


def _limit(call: Call, timeout: str | None) -> None:
    if timeout is not None:
        call.shorten(parse_timeout(timeout), "client")


def _headers(negotiated: Negotiated, call: Call | None) -> list[Header]:
    headers = [(b"content-type", negotiated.content_type.encode("latin-1"))]
    if call is not None:
        pairs = call.reply.header_pairs()
        headers.extend((name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in pairs)
    return headers
