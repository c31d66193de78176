"""The edge of HTTP: one pure coroutine from a request to a response, whichever front has read it.

Fronts (ASGI today) bring bytes and take bytes away; routing, negotiation, binding, errors and reply headers happen
here and only here. Unary calls are answered here, streams (``events``, ``websocket``) begin here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from kratos.call import REDIRECTS, Call, Peer
from kratos.codec.base import Codec, CodecSet, Negotiated
from kratos.codec.json import JsonCodec
from kratos.codec.jsonvalues import JsonOptions
from kratos.codec.raw import RawCodec
from kratos.errors import ClientError, Error
from kratos.handler import Messages, conceal
from kratos.live import Live
from kratos.metadata import Metadata
from kratos.metrics.calls import Refusals
from kratos.pathtemplate import Template
from kratos.transport.deadline import parse_timeout
from kratos.transport.dispatch import Dispatcher, Endpoint
from kratos.transport.http.bind import Binding
from kratos.transport.http.compression import compress, inflate
from kratos.transport.http.extra import Mounted, Raw
from kratos.transport.http.format import Envelope, Format, wrapping
from kratos.transport.http.limits import Limits
from kratos.transport.http.problem import pushback, to_status
from kratos.transport.http.ranges import wanted
from kratos.transport.http.raw import RawBinding
from kratos.transport.http.route import Match, Router

__all__ = ["Edge", "Header", "Request", "Response", "Target", "content_length", "reply_headers", "too_large"]

Header: TypeAlias = tuple[bytes, bytes]
"""Name and value, as they stand on the wire."""

BODILESS: Final = frozenset((204, 304))
"""Statuses whose responses have no body."""

CLOSE: Final[Header] = (b"connection", b"close")
"""Ends the connection, for a request whose body is not going to be read to its end."""

_EMPTY = BODILESS | REDIRECTS | {205}
"""Statuses at which the reply of a handler is not sent."""

# The framing of a response is the server's business, and its encoding that of the codec.
_RESERVED = frozenset(("connection", "content-length", "content-type", "transfer-encoding", "upgrade"))
_RANGES: Final[Header] = (b"accept-ranges", b"bytes")
_FORMAT: Final = Format()
_TELLING: Final = {405: "allow", 415: "accept-encoding", 416: "content-range"}
"""What an error says in a header too, from its metadata."""
_NOT_IN_VALUES = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


# Not frozen, which would cost more than 1 us per object: nobody changes one all the same.
@dataclass(slots=True)
class Request:
    """A request as a front reads it.

    Attributes:
        method: The verb, in upper case.
        path: As it came: percent-encoded, without the query.
        query: What follows the question mark, percent-encoded.
        headers: Names in lower case.
        peer: The other end.
        arrived: When the last of it had come, in the event loop's time; None where nobody knows.
    """

    method: str
    path: str
    query: str
    headers: Sequence[Header]
    peer: Peer
    arrived: float | None = None


@dataclass(slots=True)
class Response:
    """A response for a front to write; ``content-length`` is the length of ``body``."""

    status: int
    headers: list[Header]
    body: bytes


class Target:
    """What a route leads to: an endpoint, and how requests become its message.

    Args:
        endpoint: The endpoint.
        binding: How requests are read and replies are written.
        envelope: What is put around replies.

    Attributes:
        endpoint: The endpoint.
        binding: How requests are read and replies are written.
        envelope: What is put around replies.
        streams: Whether the reply is no single response.
        upgrades: Whether it is served on a WebSocket: its requests are streamed.
        uploads: Whether its streamed request may be the body of an ordinary one.
        passes: Whether a mounted application answers, whatever is asked.
        unary: Whether one body is answered by another: none of the above.
    """

    __slots__ = ("binding", "endpoint", "envelope", "passes", "streams", "unary", "upgrades", "uploads")

    def __init__(self, endpoint: Endpoint, binding: Binding, envelope: Envelope | None = None) -> None:
        operation = endpoint.operation
        self.endpoint = endpoint
        self.binding = binding
        self.envelope = envelope
        self.streams = operation.streams
        self.upgrades = operation.client_streams
        self.uploads = binding.raw and self.upgrades and not operation.server_streams
        self.passes = isinstance(operation, Mounted)
        self.unary = not self.streams and not self.passes

    def __str__(self) -> str:
        return self.endpoint.operation.name


class Edge:
    """Answers requests with the operations of a dispatcher.

    Args:
        dispatcher: What answers.
        codecs: The encodings it speaks.
        format: How replies look; options for JSON that are not the usual ones replace those of the codec.
        limits: What a client may take.

    Attributes:
        limits: What a client may take.
        codecs: The encodings it speaks, with the options of JSON that replies have.
        table: Method, path template and target of each route.
        router: Finds a route by method and path.
        refusals: Counts requests that are for no operation, or cannot be read.

    Raises:
        ValueError: A binding of an operation cannot be served: a bad template, an unknown field, a clash of routes.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        codecs: CodecSet,
        *,
        format: Format = _FORMAT,
        limits: Live[Limits] | None = None,
    ) -> None:
        self.dispatcher = dispatcher
        json = codecs.named(JsonCodec.name) or JsonCodec()
        if format.json != JsonOptions():
            json = json.with_options(format.json) if isinstance(json, JsonCodec) else JsonCodec(format.json)
            codecs = codecs.with_(json)
        self.codecs = codecs
        self._types = {
            name: (b"content-type", name.encode("ascii")) for codec in codecs for name in codec.content_types
        }
        self._envelope = format.envelope
        self._compress_over = math.inf if format.compress_over is None else format.compress_over
        self.limits: Live[Limits] = limits or Live(Limits())
        # Where a client accepts none of our encodings it gets the default one, as from Kratos, rather than a 406: an
        # error it can read is worth more than one it cannot.
        self._default = Negotiated(codecs.default, codecs.default.content_types[0])
        self.json = Negotiated(json, json.content_types[0])
        self.table = tuple(_routes(dispatcher, format.envelope))
        self.router: Router[Target] = Router(self.table, heads=lambda target: not target.streams)
        self.refusals = Refusals(dispatcher.meter, "http")

    def match(self, request: Request) -> Match[Target]:
        """Returns what a request is for, before its body is read. HEAD is answered where GET is, but not by streams.

        Raises:
            Error: 404, 405, or 400 for a path that cannot be read.
        """
        return self.router.match(request.method, request.path)

    def serves(self, path: str) -> bool:
        """Tells whether a service has a path, whatever the method."""
        try:
            self.router.match("GET", path)
        except Error as error:
            return error.code != 404
        return True

    def open(
        self, request: Request, match: Match[Target], sink: Callable[[Any], Awaitable[None]] | None = None
    ) -> Call:
        """Returns the call of a request, with the limit its client asks for.

        Args:
            request: The request.
            match: What it is for.
            sink: Where streamed replies go.
        """
        target = match.target
        call = Call(
            target.endpoint.operation,
            kind="http",
            side="server",
            peer=request.peer,
            headers=Metadata.from_raw(request.headers),
            app=self.dispatcher.app,
            sink=sink,
        )
        call.arrived = request.arrived
        timeout = call.headers.get("x-request-timeout")
        if timeout is not None:
            try:
                call.shorten(parse_timeout(timeout), "client", since=request.arrived)
            except Error as rejected:
                call.rejected = rejected
        if isinstance(target.binding, RawBinding):
            target.binding.keep(
                call, method=request.method, path=request.path, query=request.query, values=match.values
            )
        return call

    def read(self, call: Call, request: Request, match: Match[Target], body: bytes) -> Any:
        """Returns the request message; an empty one, with the reason in ``call.rejected``, if it cannot be read."""
        binding = match.target.binding
        if call.rejected is not None:
            return binding.empty()
        try:
            codec = None
            if binding.reads_body and (body or binding.raw):
                coding = b""
                for name, value in request.headers:  # quicker than a look-up, which every POST would pay
                    if name == b"content-encoding":
                        coding = coding + b", " + value if coding else value
                if coding:
                    body = inflate(body, coding.decode("latin-1"), self.limits.value.max_body)
                codec = self._codec(call.headers, raw=binding.raw)
            return binding.build(codec, body, request.query, match.values)
        except Error as rejected:
            call.rejected = rejected
            return binding.empty()

    def negotiate(self, call: Call) -> Negotiated:
        """Returns what a reply is written in."""
        return self.codecs.for_reply(call.headers.get("accept")) or self._default

    async def answer(
        self,
        request: Request,
        match: Match[Target],
        body: bytes,
        messages: Callable[[Call], Messages[Any]] | None = None,
    ) -> Response:
        """Runs one call that ends in one reply. Never raises an ``Error``: failures are responses too.

        Args:
            request: The request.
            match: What it is for.
            body: Its body.
            messages: Returns the messages that the body holds, where they are read as they come.

        Raises:
            asyncio.CancelledError: The client has left, or the server stops.
        """
        target = match.target
        call = self.open(request, match)
        message = self.read(call, request, match, body) if messages is None else messages(call)
        accepted = self.negotiate(call)
        replies = target.binding.reply
        try:
            reply = await self.dispatcher.dispatch(target.endpoint, message, call)
            content_type, data = replies.write(accepted, reply, self.json)
            status = 200 if call.reply.status is None else _status(call.reply.status)
            headers = [self._types.get(content_type) or (b"content-type", content_type.encode("latin-1"))]
            if call.reply.header_pairs():
                headers += reply_headers(call)
            if replies.raw and status == 200 and request.method in ("GET", "HEAD"):
                headers.append(_RANGES)
                part = wanted(call.headers, dict(headers), len(data))
                if part is not None:
                    headers.append((b"content-range", b"bytes %d-%d/%d" % (part[0], part[1] - 1, len(data))))
                    status, data = 206, data[slice(*part)]
        except Error as error:
            return self.refuse(error, accepted, call)
        except Exception as failure:  # whatever a handler returned that is no reply
            return self.refuse(conceal(failure, call), accepted, call)
        if status in _EMPTY:
            return Response(status, headers[1:], b"")
        if target.envelope is not None and content_type in self.json.codec.content_types:
            data = target.envelope.wrap(data)
        if len(data) > self._compress_over:
            data = await compress(headers, data, call.headers.values("accept-encoding"))
        return Response(status, headers, data)

    def refuse(self, error: Error, accepted: Negotiated | None = None, call: Call | None = None) -> Response:
        """Returns the response of a failure."""
        negotiated = accepted or self._default
        headers = [(b"content-type", negotiated.content_type.encode("latin-1"))]
        if call is not None:
            headers += reply_headers(call)
        for code, name in _TELLING.items():
            if error.code == code and name in error.metadata:
                headers.append((name.encode("ascii"), _value(error.metadata[name])))
        if error.retry_after is not None and not any(name == b"retry-after" for name, _ in headers):
            headers.append(pushback(error.retry_after))
        if error.code == 426:
            headers += [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
        envelope = self._envelope if call is None else wrapping(self._envelope, call.operation)
        if envelope is not None and negotiated.codec is self.json.codec:
            return Response(error.status, headers, envelope.wrap_error(error))
        return Response(error.status, headers, negotiated.codec.encode(to_status(error)))

    def _codec(self, headers: Metadata, *, raw: bool) -> Codec:
        """Returns what reads the body."""
        content_type = headers.get("content-type")
        if raw:
            return RawCodec(content_type or "")
        codec = self.codecs.for_request(content_type)
        if codec is None:
            named = "no Content-Type" if content_type is None else f"Content-Type {content_type[:100]}"
            raise ClientError(
                f"{named}: this server reads {', '.join(codec.content_types[0] for codec in self.codecs)}",
                code=415,
                reason="UNSUPPORTED_MEDIA_TYPE",
            )
        return codec


def _routes(dispatcher: Dispatcher, envelope: Envelope | None) -> Iterable[tuple[str, Template, Target]]:
    endpoints = dispatcher.endpoints.values()
    taken = {http.path for endpoint in endpoints for http in endpoint.operation.http if http.method in ("GET", "*")}
    for endpoint in endpoints:
        operation = endpoint.operation
        opened: set[str] = set()
        for http in operation.http:
            binding = RawBinding(operation, http) if isinstance(operation, Raw) else Binding(operation, http)
            target = Target(endpoint, binding, wrapping(envelope, operation))
            template = target.binding.template
            yield http.method, template, target
            # A WebSocket begins with GET, whatever the rule says; the rule's own verb is told to upgrade.
            # An upload needs none, so it leaves the path to whoever answers GET there: a download.
            beside = target.uploads and http.path in taken
            if target.upgrades and http.method not in ("GET", "*") and http.path not in opened and not beside:
                yield "GET", template, target
            opened.add(http.path)


def _status(status: int) -> int:
    """Returns the status that the handler chose.

    Raises:
        ValueError: It is none that a reply may have.
    """
    if not 200 <= status <= 599:
        raise ValueError(f"the reply has status {status}: it must be from 200 to 599")
    return status


def reply_headers(call: Call) -> list[Header]:
    """Returns the headers that handler and middleware have set, as far as they may: none can break the response."""
    pairs = call.reply.header_pairs()
    return [
        (name.encode("latin-1"), _value(value)) for name, value in pairs if name not in _RESERVED and ":" not in name
    ]


def content_length(request: Request) -> int:
    """Returns how long the body will be as far as the client says, else 0."""
    for name, value in request.headers:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


def too_large(limit: int) -> Error:
    """Returns the error of a request body that is larger than it may be."""
    return ClientError(f"the request body is larger than {limit} bytes", code=413, reason="BODY_TOO_LARGE")


def _value(text: str) -> bytes:
    """Returns a text as the value of a header; what would end the header is a space."""
    return _NOT_IN_VALUES.sub(b" ", text.encode("latin-1", "replace"))
