"""What a span says of a call: the attributes of OpenTelemetry's semantic conventions for RPC, and how the call ended.

Requests, replies and headers are never in it, and of an unexpected failure neither text nor values: a trace leaves the
house, so it has the type and the place, and the log, which it shares its ids with, has the rest.
"""

from __future__ import annotations

import asyncio
from traceback import format_tb
from typing import Any, Final, NamedTuple, TypeAlias, cast
from urllib.parse import unquote, urlsplit

from opentelemetry.trace import Span, Status, StatusCode

from kratos.call import Call
from kratos.errors import GRPC_NAMES, Error, grpc_code
from kratos.handler import Messages, outcome, unwrapped
from kratos.masking import masked
from kratos.operation import AnyOperation

__all__ = ["SERVICE_NAME", "Facts", "client_facts", "end", "peer_of", "server_facts", "span_name", "static", "watched"]

Facts: TypeAlias = dict[str, "str | int"]
"""Attributes of a span."""

SERVICE_NAME: Final = "x-md-service-name"
"""The header by which a service of Kratos says who it is."""

_LONGEST: Final = 2000
_FRAMES: Final = 30


def span_name(operation: AnyOperation) -> str:
    """Returns ``shop.v1.Orders/Get``, and ``GET /path`` for a route beside the contract."""
    return operation.name.removeprefix("/").removeprefix("HTTP ")


def static(operation: AnyOperation) -> Facts:
    """Returns what is the same for all calls of an operation."""
    method, blank, route = operation.name.removeprefix("HTTP ").partition(" ")
    if blank:
        return {"http.request.method": method, "http.route": route}
    name = operation.name.lstrip("/")
    service, slash, _ = name.partition("/")
    return {"rpc.method": name, "rpc.service": service} if slash else {"rpc.operation": operation.name}


def server_facts(call: Call) -> Facts:
    """Returns what is known of a call that came in when it begins."""
    facts: Facts = {"rpc.system.name": call.kind}
    host, port = peer_of(call.peer.address)
    if host:
        facts["client.address"] = host
    if port is not None:  # without one it is a client behind a proxy: none of our network
        facts |= {"client.port": port, "network.peer.address": host, "network.peer.port": port}
    name = call.headers.get(SERVICE_NAME)
    if name:
        facts["service.peer.name"] = unquote(name)[:_LONGEST]
    for endpoint in () if call.app is None else call.app.endpoints:
        url = urlsplit(endpoint)
        if url.scheme.startswith(call.kind) and url.hostname:
            facts["server.address"] = url.hostname
            if url.port is not None:
                facts["server.port"] = url.port
            break
    return facts


def client_facts(call: Call) -> Facts:
    """Returns what is known of a call that went out when it has ended: where it went."""
    address = call.peer.address
    host, port = peer_of(address)
    if not host:
        return {}
    if port is None:
        return {"server.address": address.removeprefix("unix:")}
    return {"server.address": host, "server.port": port, "network.peer.address": host, "network.peer.port": port}


def peer_of(address: str) -> tuple[str, int | None]:
    """Returns host and port of an address; a host that is left out is this one, and there may be no port."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or (":" in host and not host.startswith("[")):
        return address.strip("[]"), None
    return host.strip("[]") or "127.0.0.1", int(port)


class _End(NamedTuple):
    code: int
    grpc: int
    reason: str = ""
    message: str = ""
    crash: BaseException | None = None


def end(span: Span, call: Call, failure: BaseException | None) -> None:
    """Says how the call ended, and ends the span.

    On a server only what it failed with itself (5xx) makes the span an error, on a client whatever came back; that a
    caller has left is none on either side.
    """
    how = _End(call.reply.status or 200, 0) if failure is None else _how(call, failure)
    facts: Facts = client_facts(call) if call.side == "client" else {}
    if call.kind == "http":
        facts["http.response.status_code"] = how.code
    else:
        facts["rpc.response.status_code"] = GRPC_NAMES[how.grpc]
    if failure is not None:
        facts["error.type"] = how.reason or str(how.code)
    span.set_attributes(facts)
    if how.crash is not None:
        _record(span, call, how.crash)
    left = isinstance(failure, asyncio.CancelledError)
    if how.code >= 500 or (failure is not None and call.side == "client" and not left):
        span.set_status(Status(StatusCode.ERROR, masked(how.message, _LONGEST) or None))
    span.end()


def _how(call: Call, failure: BaseException) -> _End:
    """Returns how a call has failed: as log and metrics have it, and what only a span has."""
    code, reason = outcome(failure, call)
    if isinstance(failure, Exception):
        failure = unwrapped(failure)
    if isinstance(failure, Error):
        number = failure.grpc_code
        known = number if 0 <= number < len(GRPC_NAMES) else grpc_code(code)
        crash = failure.__cause__ if "error_id" in failure.metadata else None  # what `conceal()` has concealed
        crash = unwrapped(crash) if isinstance(crash, Exception) else crash
        return _End(code, known, reason, str(failure.message), crash)
    if isinstance(failure, asyncio.CancelledError):
        return _End(code, grpc_code(code), reason, "" if code == 499 else f"took longer than the {call.limit} allows")
    return _End(code, grpc_code(code), reason, "unexpected failure", failure)


def _record(span: Span, call: Call, crash: BaseException) -> None:
    kind = type(crash)
    place = "".join(format_tb(crash.__traceback__)[-_FRAMES:])
    span.add_event(
        "exception", {"exception.type": f"{kind.__module__}.{kind.__qualname__}", "exception.stacktrace": place}
    )
    error_id = call.fields.get("error_id")
    if error_id is not None:
        span.set_attribute("kratos.error_id", str(error_id))


def watched(span: Span, request: Any, call: Call) -> Any:
    """Has each message of a stream noted as an event of the span; returns the request to go on with."""
    asking, answering = ("RECEIVED", "SENT") if call.side == "server" else ("SENT", "RECEIVED")

    def noting(direction: str) -> Any:
        count = 0

        def note(message: Any) -> Any:
            nonlocal count
            count += 1
            span.add_event("rpc.message", {"rpc.message.type": direction, "rpc.message.id": count})
            return message

        return note

    if call.operation.server_streams:
        call.each_reply(noting(answering))
    streamed = isinstance(request, Messages)
    return cast("Messages[Any]", request).map(noting(asking)) if streamed else request
